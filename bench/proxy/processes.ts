import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** The proxies have the last core for themselves, one at a time; client and cocoon share the first. */
export const CLIENT_CORE = '0'
export const PROXY_CORE = String(availableParallelism() - 1)

/** Clock ticks of /proc/<pid>/stat (proc(5): always 100 for programs). */
const TICK_MS = 10

export interface Started {
  readonly pid: number
  stop(): Promise<void>
}

/** Starts a program on one core; its errors are seen, its output is not. */
export function startOn(core: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  // taskset becomes the program: the process id stays.
  const child = spawn('taskset', ['-c', core, ...command], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Moves all threads of a process to a core. */
export function moveTo(core: string, pid: number): void {
  execFileSync('taskset', ['-acp', core, String(pid)], { stdio: 'ignore' })
}

/** Processor time of all threads so far, in milliseconds, to 10. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
