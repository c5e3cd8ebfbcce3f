import { readFileSync } from 'node:fs'

/**
 * Which process a pid means: the same number counts only together with its start time and the boot it belongs to.
 *
 * /proc is read synchronously on purpose: these reads never touch a disk, and a check that is followed by a signal in
 * the same tick leaves no gap in which the pid could pass to somebody else.
 */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot, field 22 of /proc/<pid>/stat. */
  readonly startTime: number
}

export interface ProcessStat extends ProcessIdentity {
  /** One letter of proc_pid_stat(5): `Z` and `X` are dead. */
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly session: number
}

/** Parses /proc/<pid>/stat; null = not such a text. The name may hold blanks and `)`: fields start after the last one. */
export function parseStat(text: string): ProcessStat | null {
  const end = text.lastIndexOf(')')
  const pid = Number.parseInt(text, 10)
  const [state, parent, group, session] = text.slice(end + 2).split(' ', 4)
  const startTime = Number(text.slice(end + 2).split(' ', 20)[19])
  if (end < 0 || !Number.isInteger(pid) || !state || !Number.isFinite(startTime)) return null
  return { pid, state, parent: Number(parent), group: Number(group), session: Number(session), startTime }
}

/** What the kernel says of a pid now; null = there is no such process. */
export function readStat(pid: number): ProcessStat | null {
  const text = readProc(pid, 'stat')
  return text === null ? null : parseStat(text)
}

/** True if exactly this process still runs; a zombie does not. */
export function isAlive(identity: ProcessIdentity): boolean {
  const stat = readStat(identity.pid)
  return stat !== null && stat.startTime === identity.startTime && stat.state !== 'Z' && stat.state !== 'X'
}

/** One file of /proc/<pid>; null = gone, or not ours to read. */
export function readProc(pid: number, file: 'stat' | 'status' | 'cmdline' | 'environ' | 'cgroup'): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return null
  }
}

/** A process's number in the innermost of the pid namespaces below Hive's (proc_pid_status(5), NSpid); null = it is in none. */
export function innerPid(pid: number): number | null {
  const [, numbers = ''] = /^NSpid:\s+(.*)$/m.exec(readProc(pid, 'status') ?? '') ?? []
  const [, ...inner] = numbers.split(/\s+/)
  return inner.length === 0 ? null : Number(inner.at(-1))
}

/** The identity of this very process. */
export function ownIdentity(): ProcessIdentity {
  const stat = readStat(process.pid)
  return { pid: process.pid, startTime: stat?.startTime ?? 0 }
}

/** The random id that the kernel draws at every boot. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/**
 * Sends a signal to one process if it is still the one meant.
 * @returns false if the process is gone or may not be signalled (EPERM).
 */
export function signalProcess(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL' | 'SIGCONT'): boolean {
  if (!isAlive(identity)) return false
  try {
    return process.kill(identity.pid, signal)
  } catch {
    return false
  }
}
