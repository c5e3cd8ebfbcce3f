import { readdirSync, readFileSync, statSync } from 'node:fs'

/** Sums over processes, from /proc: proc_pid_stat(5), proc_pid_status(5), proc_pid_fd(5). */
export interface ProcessUsage {
  readonly processes: number
  readonly threads: number
  /** With that of children they have waited for. */
  readonly cpuMs: number
  /** Anonymous and shared memory; what processes share is counted for each. null = one of them may not be read. */
  readonly memoryBytes: number | null
  /** null = one of them may not be read. */
  readonly openFiles: number | null
}

/** Of more processes only their number is told: looking at each would hold up everything else. */
export const MOST_PROCESSES = 512

/** Clock ticks as /proc counts them: USER_HZ is 100 on every architecture Node runs on. */
const TICK_MS = 10

/** @returns null if there are more than {@link MOST_PROCESSES}. Those that are gone by now do not count. */
export function processUsage(pids: readonly number[]): ProcessUsage | null {
  if (pids.length > MOST_PROCESSES) return null
  const sum = { processes: 0, threads: 0, cpuMs: 0 }
  let memoryBytes: number | null = 0
  let openFiles: number | null = 0
  for (const pid of pids) {
    const times = timesOf(pid)
    if (times === null) continue
    sum.processes += 1
    sum.threads += times.threads
    sum.cpuMs += times.ticks * TICK_MS
    memoryBytes = plus(memoryBytes, memoryOf(pid))
    openFiles = plus(openFiles, openFilesOf(pid))
  }
  return { ...sum, memoryBytes, openFiles }
}

function plus(sum: number | null, part: number | null): number | null {
  return sum === null || part === null ? null : sum + part
}

/** Fields 14–17 (times) and 20 (threads) of its stat; null = it has ended. */
function timesOf(pid: number): { readonly ticks: number; readonly threads: number } | null {
  const text = readText(`/proc/${pid}/stat`)
  // The name may hold blanks and `)`: fields start after the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state = 'X'] = fields
  if (state === 'Z' || state === 'X' || text === '') return null
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + (Number(fields[at]) || 0), 0)
  return { ticks, threads: Number(fields[17]) || 1 }
}

function memoryOf(pid: number): number | null {
  const status = readText(`/proc/${pid}/status`)
  // Without a Vm line it has no memory any more, or never had any (a kernel thread).
  if (!/^VmSize:/m.test(status)) return 0
  const anonymous = kilobytes(status, 'RssAnon')
  const shared = kilobytes(status, 'RssShmem')
  return anonymous === null || shared === null ? null : (anonymous + shared) * 1024
}

function kilobytes(status: string, name: string): number | null {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  return found === undefined ? null : Number(found)
}

/** Since Linux 6.2 the size of the directory is their number. */
function openFilesOf(pid: number): number | null {
  try {
    const { size } = statSync(`/proc/${pid}/fd`)
    return size > 0 ? size : readdirSync(`/proc/${pid}/fd`).length
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ESRCH' ? 0 : null
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // it has ended
  }
}
