import { readdirSync, readFileSync } from 'node:fs'

/** A process as the kernel shows it, found without any help of Hive. */
export interface LiveProcess {
  readonly pid: number
  /** Clock ticks since boot: with the pid, the one thing that tells a process from its successor. */
  readonly startTime: number
  /** `<service id>.<attempt>`, which the launcher gives to the worker only. */
  readonly mark: string | null
  readonly name: string | null
  readonly commandLine: string
  /** Parent and cgroup, for a report of what should not be there. */
  readonly facts: string
}

/** Every process that carries the variable CRASH_RUN with this value: workers, their children, and their launchers. */
export function processesOf(run: string): LiveProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => lookAt(Number(name), run) ?? [])
}

/** The workers alone. */
export function workersOf(run: string): LiveProcess[] {
  return processesOf(run).filter(({ mark }) => mark !== null)
}

function lookAt(pid: number, run: string): LiveProcess | null {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    if (!environment.includes(`CRASH_RUN=${run}`)) return null
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    const variable = (name: string) =>
      environment.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1) ?? null
    return {
      pid,
      startTime: Number(fields[19]),
      mark: variable('HIVE_COCOON_MARK'),
      name: variable('COCOON_NAME'),
      facts: `pid ${pid}, parent ${fields[1]}, ${readFileSync(`/proc/${pid}/cgroup`, 'utf8')
        .split('\n')
        .find((line) => line.startsWith('0::'))}`,
      commandLine: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '),
    }
  } catch {
    return null // it has just ended
  }
}

/** Ends what a test left: only processes that carry its own mark. */
export function killProcessesOf(run: string): void {
  for (const { pid } of processesOf(run)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has just ended by itself
    }
  }
}
