import { readStat } from '../script/identity.ts'
import type { ContainerInfo } from './container-info.ts'
import type { EngineFacts } from './engine-facts.ts'
import { isMonitored } from './local-containers.ts'

/** Nobody has read how it ended. */
const UNKNOWN_CODE = 255

/**
 * Podman (4.3) learns of an end from the container's monitor alone. If that was killed, the container runs for ever in
 * its words, a kill is refused, and a wait never ends well; so here the process itself is looked for.
 */
export function correctUnseenEnd(container: ContainerInfo, facts: EngineFacts): ContainerInfo {
  const { id, isAlive, pid } = container
  const isSeen = facts.flavour !== 'podman' || !facts.isLocal || !isAlive || pid === null
  if (isSeen || runs(pid) || isMonitored(id)) return container
  return { ...container, isAlive: false, isPaused: false, isUnseenEnd: true, pid: null, exitCode: UNKNOWN_CODE }
}

function runs(pid: number): boolean {
  const state = readStat(pid)?.state ?? 'X'
  return state !== 'Z' && state !== 'X'
}
