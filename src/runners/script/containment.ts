import type { Cage, CocoonIdentity } from './cage.ts'
import { type CgroupParent, isInLeaf, leafCage, leafPath, openCgroupParent } from './cgroup.ts'
import { familyOf, groupCage, KnownProcesses } from './group.ts'
import { isAlive, type ProcessIdentity, signalProcess } from './identity.ts'
import { openScopes, type ScopeParent, type SystemdView, scopeLeaf } from './scope.ts'
import { belongsTo, nextCensus, tracesOf } from './traces.ts'

/** What a script cocoon cannot leave, and why it is not more. */
export type Containment =
  | { readonly kind: 'cgroup'; readonly parent: CgroupParent }
  | { readonly kind: 'scope'; readonly parent: ScopeParent }
  | { readonly kind: 'group'; readonly reason: string }

export interface ContainmentOptions {
  readonly instanceId: string
  readonly cgroupRoot: string | null
  readonly force: Containment['kind'] | null
  readonly systemd: SystemdView
}

/**
 * The best containment that this host allows: `scope` where systemd runs the machine and has not handed its cgroup to
 * Hive (a leaf below Hive's unit would be killed with it), else `cgroup`, else `group`.
 */
export function chooseContainment({ instanceId, cgroupRoot, force, systemd }: ContainmentOptions): Containment {
  if (force === 'group') return { kind: 'group', reason: 'it was asked for' }
  const scopes = cgroupRoot === null && force !== 'cgroup' ? openScopes(instanceId, systemd) : null
  if (scopes !== null) {
    if ('slice' in scopes) return { kind: 'scope', parent: scopes }
    return { kind: 'group', reason: scopes.reason }
  }
  const parent = openCgroupParent(instanceId, cgroupRoot)
  return 'path' in parent ? { kind: 'cgroup', parent } : { kind: 'group', reason: parent.reason }
}

/** The leaf of one attempt; null = there is none. */
export function leafOf(containment: Containment, id: string, attempt: number): string | null {
  if (containment.kind === 'group') return null
  if (containment.kind === 'scope') return scopeLeaf(containment.parent, id, attempt)
  return leafPath(containment.parent, id, attempt)
}

/** All processes of a cocoon; none at all if it belongs to an earlier boot. */
export function cageOf(identity: CocoonIdentity, bootId: string): Cage {
  if (identity.bootId !== bootId) return NOBODY
  return identity.leaf === null ? groupCage(identity) : openCage(identity, leafCage(identity.leaf))
}

/** True if the worker itself runs: boot, pid, start time and leaf all match, or what it carries stands in for the leaf. */
export function workerRuns(identity: CocoonIdentity, bootId: string): boolean {
  const { worker } = identity
  return worker !== null && identity.bootId === bootId && isAlive(worker) && isOurs(worker, identity)
}

/** A worker that may write to the files of cgroups (root, mostly) can leave its leaf, but not what it was born with. */
function isOurs({ pid }: ProcessIdentity, identity: CocoonIdentity): boolean {
  return isInLeaf(pid, identity) || belongsTo(tracesOf(pid), identity.mark)
}

/** The cage of a leaf, and with it whatever has left that leaf. */
function openCage(identity: CocoonIdentity, leaf: Cage): Cage {
  const outside = new KnownProcesses()
  const look = async () => {
    const census = await nextCensus()
    const { worker } = identity
    const family = familyOf({ ...identity, worker: worker && isOurs(worker, identity) ? worker : null }, census)
    const inside = new Set(leaf.members().map(({ pid }) => pid))
    outside.add(family.filter(({ pid }) => !inside.has(pid)))
  }
  return {
    ...leaf,
    look,
    members: () => [...leaf.members(), ...outside.living()],
    isEmpty: () => leaf.isEmpty() && outside.living().length === 0,
    kill: async () => {
      await leaf.kill()
      for (const each of outside.living()) signalProcess(each, 'SIGKILL')
    },
  }
}

const NOBODY: Cage = {
  look: async () => {},
  members: () => [],
  isEmpty: () => true,
  thaw: async () => {},
  kill: async () => {},
  release: async () => true,
}
