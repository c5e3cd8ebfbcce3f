import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { OwnedObject, RunnerStatus } from '../driver.ts'
import type { CocoonIdentity } from './cage.ts'
import { workerRuns } from './containment.ts'
import { readExit } from './exit-file.ts'
import { handleOf, identityOf, type ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { poll } from './pause.ts'
import { attemptDirectory, attemptsOf, readIdentity, readMarker, servicesIn } from './run-directory.ts'
import { fateWithoutExit, type WaitTarget } from './waiting.ts'

/** A launcher that has lost its worker writes the exit at once; a stopped launcher never does. */
const RECORD_LIMIT_MS = 2_000
const AT_A_TIME = 64

/** Where to look for one attempt, and whom to expect there. */
export function targetOf(host: ScriptHost, script: ScriptHandle): WaitTarget {
  const directory = attemptDirectory(host.runs, script.id, script.attempt)
  return { directory, identity: () => currentIdentity(directory, script.identity), bootId: host.bootId }
}

/** What a handle's attempt does now. */
export async function inspectAttempt(
  host: ScriptHost,
  script: ScriptHandle,
  signal: AbortSignal,
): Promise<RunnerStatus> {
  const target = targetOf(host, script)
  const ask = (): RunnerStatus | undefined => {
    const exit = exited(target.directory)
    if (exit) return exit
    const fate = fateWithoutExit(target)
    if (fate === 'recording') return undefined
    // The exit may have been written between the two looks.
    return fate === 'runs' ? running(target, script) : (exited(target.directory) ?? { state: 'missing' })
  }
  const status = await poll(ask, { limitMs: RECORD_LIMIT_MS, longestMs: 20, signal })
  return status ?? { state: 'missing' }
}

/** The newest attempt of every service of this instance; a thousand take a tenth of a second, which others get a part of. */
export async function listAttempts(host: ScriptHost, signal: AbortSignal): Promise<OwnedObject[]> {
  const found: OwnedObject[] = []
  for (const [index, id] of servicesIn(host.runs).entries()) {
    if (index % AT_A_TIME === AT_A_TIME - 1) await setImmediate(undefined, { signal })
    const object = newestOf(host, id)
    if (object !== null) found.push(object)
  }
  return found
}

function newestOf(host: ScriptHost, id: string): OwnedObject | null {
  const attempt = attemptsOf(host.runs, id).at(-1)
  if (attempt === undefined) return null
  const directory = attemptDirectory(host.runs, id, attempt)
  const marker = readMarker(directory)
  if (marker === null || marker.instance !== host.instanceId) return null
  const worker = readIdentity(directory, 'pid')
  return {
    id: marker.id,
    name: marker.name,
    kind: marker.kind,
    port: marker.port,
    attempt: marker.attempt,
    handle: handleOf(marker, worker),
    running: readExit(directory) === null && workerRuns(identityOf(marker, worker), host.bootId),
    createdAt: marker.created_at,
  }
}

function currentIdentity(directory: string, identity: CocoonIdentity): CocoonIdentity {
  return identity.worker ? identity : { ...identity, worker: readIdentity(directory, 'pid') }
}

function exited(directory: string): RunnerStatus | null {
  const ended = readExit(directory)
  return ended && { state: 'exited', ...ended }
}

function running(target: WaitTarget, { endpoint }: ScriptHandle): RunnerStatus {
  const pid = target.identity().worker?.pid ?? null
  return { state: 'running', pid, startedAt: recordedAt(target.directory), endpoint }
}

function recordedAt(directory: string): string | null {
  try {
    return statSync(join(directory, 'pid')).mtime.toISOString()
  } catch {
    return null
  }
}
