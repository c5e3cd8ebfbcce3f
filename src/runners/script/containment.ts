import type { Cage, CocoonIdentity } from './cage.ts'
import { type CgroupParent, isInLeaf, leafCage, openCgroupParent } from './cgroup.ts'
import { groupCage } from './group.ts'
import { isAlive } from './identity.ts'

/** What a script cocoon cannot leave, and why it is not more. */
export type Containment =
  | { readonly kind: 'cgroup'; readonly parent: CgroupParent }
  | { readonly kind: 'group'; readonly reason: string }

export interface ContainmentOptions {
  readonly instanceId: string
  readonly cgroupRoot: string | null
  readonly force: 'cgroup' | 'group' | null
}

/** The best containment that this host allows. */
export function chooseContainment({ instanceId, cgroupRoot, force }: ContainmentOptions): Containment {
  if (force === 'group') return { kind: 'group', reason: 'it was asked for' }
  const parent = openCgroupParent(instanceId, cgroupRoot)
  return 'path' in parent ? { kind: 'cgroup', parent } : { kind: 'group', reason: parent.reason }
}

/** All processes of a cocoon; none at all if it belongs to an earlier boot. */
export function cageOf(identity: CocoonIdentity, bootId: string): Cage {
  if (identity.bootId !== bootId) return NOBODY
  return identity.leaf === null ? groupCage(identity) : leafCage(identity.leaf)
}

/** True if the worker itself runs: boot, pid, start time and leaf all match. */
export function workerRuns(identity: CocoonIdentity, bootId: string): boolean {
  const { worker } = identity
  return worker !== null && identity.bootId === bootId && isAlive(worker) && isInLeaf(worker.pid, identity)
}

const NOBODY: Cage = { members: () => [], isEmpty: () => true, kill: async () => {}, release: async () => {} }
