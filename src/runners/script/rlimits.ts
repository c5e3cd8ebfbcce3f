import type { Resources } from '../../kinds/kind.ts'
import type { Controllers } from './limits.ts'

export type LimitedBy = 'cgroup' | 'rlimit' | 'none'

/** How each wanted limit of a kind acts here. */
export type Acting = Readonly<Partial<Record<keyof Resources, LimitedBy>>>

/** @param asRoot  the cocoon runs as root: RLIMIT_NPROC does not hold for it (setrlimit(2), CAP_SYS_RESOURCE). */
export function actingLimits(resources: Resources, controllers: Controllers | 'systemd', asRoot: boolean): Acting {
  const has = (name: 'memory' | 'cpu' | 'pids') =>
    controllers === 'systemd' || controllers.v2.includes(name) || controllers.v1[name] !== undefined
  const byUser = asRoot ? 'none' : 'rlimit'
  const best: Readonly<Record<keyof Resources, LimitedBy>> = {
    memoryBytes: has('memory') ? 'cgroup' : 'rlimit',
    pids: has('pids') ? 'cgroup' : byUser,
    cpus: has('cpu') ? 'cgroup' : 'none',
    nofile: 'rlimit',
    nproc: byUser,
  }
  return Object.fromEntries(Object.entries(best).filter(([key]) => resources[key as keyof Resources] !== null))
}

const WORDS = { memoryBytes: 'memory', pids: 'pids', cpus: 'cpus', nofile: 'nofile', nproc: 'nproc' } as const

/** What cannot act at all, with its mend; null = all do. */
export function missingLimits(acting: Acting): string | null {
  const names = namesBy(acting, 'none')
  if (names.length === 0) return null
  const mend =
    names.join() === 'nproc'
      ? 'it does not hold for root: set user, or use resources.pids'
      : 'give Hive a cgroup of its own with these controllers (systemd: Delegate=yes), or leave the limit out'
  return `resources.${names.join(', resources.')} cannot act here: ${mend}`
}

/** What is only a limit per process or user; null = nothing. */
export function weakLimits(acting: Acting): string | null {
  const names = namesBy(acting, 'rlimit').filter((name) => name === 'memory' || name === 'pids')
  if (names.length === 0) return null
  return `resources.${names.join(', resources.')}: by rlimit only (memory of each process, processes of the user)`
}

function namesBy(acting: Acting, by: LimitedBy): string[] {
  return Object.entries(acting)
    .filter(([, each]) => each === by)
    .map(([key]) => WORDS[key as keyof Resources])
}

/**
 * Options of prlimit(1) for a cocoon. RLIMIT_DATA, not RLIMIT_AS, stands in for memory: runtimes such as V8 reserve far
 * more address space than they use, and reserved pages are not counted as data (setrlimit(2), since Linux 4.7).
 */
export function rlimitOptions(resources: Resources, acting: Acting): string[] {
  const { memoryBytes, pids, nofile, nproc } = resources
  const options: string[] = []
  const set = (name: string, value: number) => options.push(`--${name}=${value}:${value}`)
  if (memoryBytes !== null && acting.memoryBytes === 'rlimit') set('data', memoryBytes)
  if (nofile !== null) set('nofile', nofile)
  const processes = [nproc, acting.pids === 'rlimit' ? pids : null].filter((value) => value !== null)
  if (processes.length > 0) set('nproc', Math.min(...processes))
  return options
}
