import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { mkdir, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Resources } from '../../kinds/kind.ts'
import { LaunchRefused } from '../driver.ts'
import { type CgroupParent, pidsIn } from './cgroup.ts'
import { readStat, signalProcess } from './identity.ts'
import { type ControllerName, ownCgroup1 } from './mounts.ts'
import { poll } from './pause.ts'

/** The controllers that act for leaves of this instance: directory of the leaves, per controller. */
export interface Controllers {
  /** v1: `<Hive's own cgroup of that hierarchy>/hive-<instance>`. */
  readonly v1: Readonly<Partial<Record<ControllerName, string>>>
  /** v2: leaves of the containment itself have these. */
  readonly v2: readonly ControllerName[]
}

/** What one attempt is limited by, in the kernel's words. */
export interface CgroupLimits {
  /** Leaves of v1 hierarchies, which the shim joins. */
  readonly leaves: readonly string[]
  /** Files and what is written to each; a file that is not there is left out if it is `optional`. */
  readonly writes: readonly { readonly file: string; readonly value: string; readonly optional?: true }[]
  /** Where the kernel counts OOM kills: a line `oom_kill N`. */
  readonly oomFile: string | null
}

const NAMES: readonly ControllerName[] = ['memory', 'cpu', 'pids']
const PROBE_FILE = { memory: 'memory.limit_in_bytes', cpu: 'cpu.cfs_quota_us', pids: 'pids.max' } as const
const PERIOD_US = 100_000
const RELEASE_LIMIT_MS = 2_000
/** A sandbox's own processes beside the worker: its monitor and its init. */
const SANDBOX_PROCESSES = 2

/**
 * Finds out by trying which controllers act.
 * @param leaves  where containment leaves are made; null = there are none.
 * @see Documentation/admin-guide/cgroup-v2.rst ("subtree_control", "no internal processes"), cgroup-v1/{memory,pids}.rst
 */
export function openControllers(instanceId: string, leaves: CgroupParent | null): Controllers {
  const v2 = leaves === null ? [] : enableControllers(leaves)
  const v1 = NAMES.filter((name) => !v2.includes(name)).flatMap((name) => {
    const own = ownCgroup1(name)
    const parent = own === null ? null : join(own, `hive-${instanceId.slice(0, 8)}`)
    return parent !== null && canLimit(parent, PROBE_FILE[name]) ? [[name, parent] as const] : []
  })
  return { v1: Object.fromEntries(v1), v2 }
}

/** Hands the controllers that Hive's cgroup has down to the leaves. Repeated with each leaf: the parent may be new. */
export function enableControllers(leaves: CgroupParent): ControllerName[] {
  const above = dirname(leaves.path)
  try {
    const offered = words(join(above, 'cgroup.controllers'))
    if (!NAMES.some((name) => offered.includes(name))) return []
    mkdirSync(leaves.path, { recursive: true })
    for (const name of NAMES.filter((each) => offered.includes(each))) {
      for (const folder of [above, leaves.path]) enable(folder, name)
    }
    const enabled = words(join(leaves.path, 'cgroup.subtree_control'))
    return NAMES.filter((name) => enabled.includes(name))
  } catch {
    return []
  }
}

/** What limits one attempt. Pure. */
export function cgroupLimits(
  controllers: Controllers,
  resources: Resources,
  { leaf, name, sandboxed }: { readonly leaf: string | null; readonly name: string; readonly sandboxed: boolean },
): CgroupLimits {
  const { memoryBytes, cpus, pids } = resources
  const wanted = {
    memory: memoryBytes,
    cpu: cpus,
    pids: pids === null ? null : pids + (sandboxed ? SANDBOX_PROCESSES : 0),
  }
  const limits = NAMES.flatMap((each) => {
    const amount = wanted[each]
    const parent = controllers.v1[each]
    if (amount === null) return []
    if (leaf !== null && controllers.v2.includes(each)) return [limitOf2(leaf, each, amount)]
    return parent === undefined ? [] : [limitOf1(join(parent, name), each, amount)]
  })
  return {
    leaves: limits.flatMap((limit) => limit.leaf ?? []),
    writes: limits.flatMap((limit) => limit.writes),
    oomFile: limits.find((limit) => limit.oomFile !== null)?.oomFile ?? null,
  }
}

/** The v1 leaves of a name, whether or not they are there: what a marker says that is gone. */
export function namedLeaves(controllers: Controllers | 'systemd', name: string): readonly string[] {
  return controllers === 'systemd' ? [] : Object.values(controllers.v1).map((parent) => join(parent, name))
}

/** @throws LaunchRefused  the kernel does not take them. */
export async function makeLimits({ leaves, writes }: CgroupLimits): Promise<void> {
  try {
    for (const leaf of leaves) await mkdir(leaf, { recursive: true })
    for (const { file, value, optional } of writes) {
      if (!optional || existsSync(file)) await writeFile(file, value)
    }
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    throw new LaunchRefused(`The limits of resources cannot be set (${code}): ${path}`, { cause: error })
  }
}

/**
 * Removes leaves whose cocoon was ended, and their parents if they were the last. Whoever is still in one got away from
 * a process group; as a member of the leaf it is the cocoon's beyond doubt, and is killed.
 */
export async function releaseLeaves(leaves: readonly string[], signal: AbortSignal): Promise<void> {
  for (const leaf of leaves) {
    // A killed process leaves its cgroup a moment after it stops to be seen as alive.
    await poll(() => removed(leaf) || killMembers(leaf), { limitMs: RELEASE_LIMIT_MS, longestMs: 20, signal })
    await rmdir(dirname(leaf)).catch(() => {
      // Other attempts have leaves in it.
    })
  }
}

function killMembers(leaf: string): undefined {
  for (const pid of pidsIn(leaf)) {
    const member = readStat(pid)
    if (member !== null) signalProcess(member, 'SIGKILL')
  }
}

function removed(leaf: string): boolean {
  try {
    rmdirSync(leaf)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EBUSY'
  }
}

interface Limit {
  /** A v1 leaf to make and join. */
  readonly leaf: string | null
  readonly writes: CgroupLimits['writes']
  readonly oomFile: string | null
}

function limitOf2(leaf: string, name: ControllerName, amount: number): Limit {
  const file = (suffix: string) => join(leaf, `${name}.${suffix}`)
  if (name === 'cpu') return plain(null, { file: file('max'), value: `${quota(amount)} ${PERIOD_US}` })
  if (name === 'pids') return plain(null, { file: file('max'), value: String(amount) })
  const swap = { file: file('swap.max'), value: '0', optional: true } as const
  return { leaf: null, writes: [{ file: file('max'), value: String(amount) }, swap], oomFile: file('events') }
}

function limitOf1(leaf: string, name: ControllerName, amount: number): Limit {
  const file = (suffix: string) => join(leaf, `${name}.${suffix}`)
  if (name === 'pids') return plain(leaf, { file: file('max'), value: String(amount) })
  if (name === 'cpu') {
    const period = { file: file('cfs_period_us'), value: String(PERIOD_US) }
    return plain(leaf, period, { file: file('cfs_quota_us'), value: String(quota(amount)) })
  }
  // Memory and swap together; there only where the kernel counts swap.
  const swap = { file: file('memsw.limit_in_bytes'), value: String(amount), optional: true } as const
  const memory = { file: file('limit_in_bytes'), value: String(amount) }
  return { leaf, writes: [memory, swap], oomFile: file('oom_control') }
}

function plain(leaf: string | null, ...writes: CgroupLimits['writes']): Limit {
  return { leaf, writes, oomFile: null }
}

/** The kernel takes no quota below 1 ms. */
function quota(cpus: number): number {
  return Math.max(1_000, Math.round(cpus * PERIOD_US))
}

function canLimit(parent: string, file: string): boolean {
  const leaf = join(parent, `probe-${process.pid}`)
  try {
    mkdirSync(leaf, { recursive: true })
    for (const each of [file, 'cgroup.procs']) accessSync(join(leaf, each), constants.W_OK)
    return true
  } catch {
    return false
  } finally {
    for (const each of [leaf, parent]) removed(each)
  }
}

/** EBUSY: a cgroup with processes of its own (and not the root) cannot hand a controller down. */
function enable(folder: string, name: ControllerName): void {
  if (words(join(folder, 'cgroup.subtree_control')).includes(name)) return
  try {
    writeFileSync(join(folder, 'cgroup.subtree_control'), `+${name}`)
  } catch {
    // Then this controller does not act, which the caller reads back.
  }
}

function words(file: string): string[] {
  return readFileSync(file, 'utf8').split(/\s+/)
}
