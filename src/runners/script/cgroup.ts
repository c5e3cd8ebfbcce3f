import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { mkdir, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Cage, CocoonIdentity } from './cage.ts'
import { type ProcessIdentity, readProc, readStat } from './identity.ts'
import { ownCgroup2 } from './mounts.ts'

/** Where leaves of this instance are made: `<Hive's own cgroup>/hive-<instance>`. */
export interface CgroupParent {
  readonly path: string
  /** Hive's own cgroup; null = leaves are made somewhere else. */
  readonly own: string | null
}

/**
 * Finds the place for leaves in the v2 hierarchy: the pure one or the `unified` one of a hybrid host.
 *
 * @param root  the cgroup directory to use instead of Hive's own.
 * @returns the parent, or the reason why there can be no leaf.
 * @see cgroups(7), Documentation/admin-guide/cgroup-v2.rst: a process may be moved only by who can write
 *   `cgroup.procs` of source, target and their common ancestor; `cgroup.kill` exists since Linux 5.14.
 */
export function openCgroupParent(instanceId: string, root: string | null): CgroupParent | { readonly reason: string } {
  const own = root ?? ownCgroup2()
  if (own === null) return { reason: 'there is no cgroup v2 hierarchy here' }
  const parent = { path: join(own, `hive-${instanceId.slice(0, 8)}`), own: root === null ? own : null }
  const leaf = join(parent.path, `probe-${process.pid}`)
  try {
    // Not `recursive`: that would make the root as well.
    for (const each of [parent.path, leaf]) if (!existsSync(each)) mkdirSync(each)
    accessSync(join(own, 'cgroup.procs'), constants.W_OK)
    accessSync(join(leaf, 'cgroup.procs'), constants.W_OK)
    accessSync(join(leaf, 'cgroup.kill'), constants.W_OK)
    const type = readFileSync(join(leaf, 'cgroup.type'), 'utf8').trim()
    if (type === 'domain') return parent
    return { reason: `a cgroup below ${own} would be of type "${type}"` }
  } catch (error) {
    return { reason: `no cgroup can be made below ${own} (${(error as NodeJS.ErrnoException).code})` }
  } finally {
    // The parent stays if another driver has leaves in it, and is made again with the first leaf.
    for (const each of [leaf, parent.path]) removeCgroupSync(each)
  }
}

const LEAF_NAME = /^(?<id>.+)\.(?<attempt>\d+)$/

/** The place of the leaf of one attempt. */
export function leafPath(parent: CgroupParent, id: string, attempt: number): string {
  return join(parent.path, `${id}.${attempt}`)
}

/**
 * Makes the leaf of one attempt. Repeatable. Making, removing and killing take the kernel's one cgroup lock, which any
 * move on the machine may hold for milliseconds: so they are asynchronous, unlike looking.
 */
export async function makeLeaf(parent: CgroupParent, leaf: string): Promise<void> {
  await mkdir(leaf, { recursive: true })
  expectJoin(parent)
}

/**
 * Removes the empty leaves in a place for which nobody answers any more: a Hive that was killed had no time for them.
 * @param isKnown  whether there is an attempt of this id; an attempt is recorded before its leaf is made.
 */
export async function sweepLeaves(place: string, isKnown: (id: string, attempt: number) => boolean): Promise<void> {
  for (const name of namesIn(place)) {
    const { id, attempt } = LEAF_NAME.exec(name)?.groups ?? {}
    if (id === undefined || isKnown(id, Number(attempt))) continue
    const leaf = join(place, name)
    if (!isPopulated(leaf)) await removeTree(leaf)
  }
}

/** Removes the instance's parent if no leaf is left below it. */
export async function closeCgroupParent(parent: CgroupParent): Promise<void> {
  await removeCgroup(parent.path)
}

/** The cage of a leaf: whatever is in it is the cocoon, wherever it double-forked or called setsid. */
export function leafCage(leaf: string): Cage {
  return {
    look: async () => {},
    members: () => membersOf(leaf),
    isEmpty: () => !isPopulated(leaf),
    thaw: () => thaw(leaf),
    kill: () => killAll(leaf),
    release: () => removeTree(leaf),
  }
}

/** True if the process is in the cocoon's leaf or below it. */
export function isInLeaf(pid: number, { leaf }: Pick<CocoonIdentity, 'leaf'>): boolean {
  if (leaf === null || pidsIn(leaf).includes(pid)) return true
  // The last two names are unique; what stands before them depends on the reader's cgroup namespace.
  const end = `/${basename(dirname(leaf))}/${basename(leaf)}`
  const line = readProc(pid, 'cgroup')
    ?.split('\n')
    .find((text) => text.startsWith('0::'))
  return line !== undefined && `${line}/`.includes(`${end}/`)
}

let joinExpected = false

/**
 * Says that a process is about to join a leaf, so that it need not wait there: the first move in a while waits for an
 * RCU grace period (about 10 ms; `cgroup_threadgroup_rwsem`), the next ones do not. Hive moves itself to where it is.
 */
function expectJoin(parent: CgroupParent): void {
  if (joinExpected || parent.own === null || ownCgroup2() !== parent.own) return
  joinExpected = true
  // Refused or not: it only saves time.
  const done = () => {
    joinExpected = false
  }
  writeFile(join(parent.own, 'cgroup.procs'), String(process.pid)).then(done, done)
}

function membersOf(cgroup: string): ProcessIdentity[] {
  return treeOf(cgroup)
    .flatMap(pidsIn)
    .flatMap((pid) => readStat(pid) ?? [])
}

export function pidsIn(cgroup: string): number[] {
  try {
    return readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** The cgroup and all below it, deepest first. */
function treeOf(cgroup: string): string[] {
  return existsSync(cgroup) ? [...namesIn(cgroup).flatMap((name) => treeOf(join(cgroup, name))), cgroup] : []
}

/** Of the cgroups right below; none if it is gone. */
function namesIn(cgroup: string): string[] {
  try {
    const entries = readdirSync(cgroup, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  } catch {
    return []
  }
}

function isPopulated(cgroup: string): boolean {
  try {
    return /^populated 1$/m.test(readFileSync(join(cgroup, 'cgroup.events'), 'utf8'))
  } catch {
    return false
  }
}

async function killAll(cgroup: string): Promise<void> {
  await writeFile(join(cgroup, 'cgroup.kill'), '1').catch(() => {
    // Gone already: then there is nothing to kill. The caller verifies by isEmpty().
  })
}

async function thaw(cgroup: string): Promise<void> {
  for (const each of treeOf(cgroup)) {
    await writeFile(join(each, 'cgroup.freeze'), '0').catch(() => {
      // Gone already, or a kernel before 5.2, which freezes nothing.
    })
  }
}

async function removeTree(cgroup: string): Promise<boolean> {
  let removed = true
  for (const each of treeOf(cgroup)) removed = await removeCgroup(each)
  return removed
}

/** @returns false if something is in it; gone already, or not ours to remove = true. */
function removeCgroup(cgroup: string): Promise<boolean> {
  return rmdir(cgroup).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'EBUSY',
  )
}

function removeCgroupSync(cgroup: string): void {
  try {
    rmdirSync(cgroup)
  } catch {
    // Never made, or in use.
  }
}
