import { readdirSync } from 'node:fs'
import type { Cage, CocoonIdentity } from './cage.ts'
import { isAlive, type ProcessIdentity, type ProcessStat, readProc, readStat, signalProcess } from './identity.ts'
import { MARK_NAME } from './launcher.ts'

/**
 * The cage without cgroups: the worker's own session and process group, and every process that carries the mark in its
 * environment. Best effort: a descendant that left the session and cleared its environment is not seen.
 */
export function groupCage(identity: CocoonIdentity): Cage {
  // Once seen is known for good: a child whose parent ends first can no longer be found by its session.
  const known = new Map<string, ProcessIdentity>()
  const members = (): ProcessIdentity[] => {
    for (const member of membersOf(identity)) known.set(`${member.pid} ${member.startTime}`, member)
    return [...known.values()].filter(isAlive)
  }
  return {
    members,
    isEmpty: () => ![...known.values()].some(isAlive) && members().length === 0,
    kill: async () => {
      for (const member of members()) signalProcess(member, 'SIGKILL')
    },
    release: async () => {},
  }
}

function membersOf(identity: CocoonIdentity): ProcessIdentity[] {
  const { worker } = identity
  // While the worker lives its pid cannot be the session or group of strangers; afterwards only the mark proves anything.
  const leader = worker && isAlive(worker) ? worker.pid : null
  const wanted = `${MARK_NAME}=${identity.mark}`
  return allProcesses().filter((stat) => {
    if (stat.state === 'Z' || stat.state === 'X') return false
    if (leader !== null && (stat.session === leader || stat.group === leader)) return true
    return (readProc(stat.pid, 'environ') ?? '').split('\0').includes(wanted)
  })
}

function allProcesses(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? [])
}
