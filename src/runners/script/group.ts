import type { Cage, CocoonIdentity } from './cage.ts'
import { isAlive, type ProcessIdentity, type ProcessStat, signalProcess } from './identity.ts'
import { Census } from './traces.ts'

/**
 * The cage without cgroups: the worker's own session and process group, and every process that carries the mark in its
 * environment or still writes to the attempt's output. Best effort: a descendant that left the session, cleared its
 * environment and closed its output is not seen, unless a parent of it is.
 */
export function groupCage(identity: CocoonIdentity): Cage {
  const known = new KnownProcesses()
  const members = (): readonly ProcessIdentity[] => {
    known.add(familyOf(identity, new Census()))
    return known.living()
  }
  return {
    look: async () => {},
    members,
    isEmpty: () => known.living().length === 0 && members().length === 0,
    thaw: async () => {},
    kill: async () => {
      for (const member of members()) signalProcess(member, 'SIGKILL')
    },
    release: async () => true,
  }
}

/** Once seen is known for good: a child whose parent ends first can no longer be found by its session. */
export class KnownProcesses {
  readonly #known = new Map<string, ProcessIdentity>()

  add(processes: readonly ProcessIdentity[]): void {
    for (const each of processes) this.#known.set(`${each.pid} ${each.startTime}`, each)
  }

  living(): readonly ProcessIdentity[] {
    return [...this.#known.values()].filter(isAlive)
  }
}

/**
 * Everything that is of the attempt by what it carries or by whom it descends from.
 *
 * @param identity  its worker counts as given: who asks has made sure that it is the one meant.
 */
export function familyOf({ worker, mark }: CocoonIdentity, census: Census): ProcessStat[] {
  // While the worker lives its pid cannot be the session or group of strangers; afterwards only the mark proves anything.
  const leader = worker && isAlive(worker) ? worker.pid : null
  const found = new Set<number>()
  for (const each of census.living) {
    const inSession = leader !== null && (each.session === leader || each.group === leader)
    if (inSession || each.pid === leader || census.isOf(each, mark)) found.add(each.pid)
  }
  return withDescendants(census.living, found)
}

/** The children of what is found belong to it too, whatever they did to their session and environment. */
function withDescendants(living: readonly ProcessStat[], found: Set<number>): ProcessStat[] {
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const { pid, parent } of living) if (found.has(parent)) found.add(pid)
  }
  return living.filter(({ pid }) => found.has(pid))
}
