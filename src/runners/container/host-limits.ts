import { readFileSync } from 'node:fs'

/** The most that a child of Hive could be given; null = no bound that is known. */
export interface HardLimits {
  readonly nofile: number | null
  readonly nproc: number | null
}

/** Reads them from /proc/self/limits (proc_pid_limits(5)); all null where there is none. */
export function ownHardLimits(read: (path: string) => string = readOrEmpty): HardLimits {
  const table = read('/proc/self/limits')
  const pidMax = wholeNumber(read('/proc/sys/kernel/pid_max').trim())
  return {
    nofile: hardLimit(table, 'Max open files'),
    // A Podman service lowers its own limit to pid_max when it starts, and cannot give its containers more.
    nproc: smaller(hardLimit(table, 'Max processes'), pidMax),
  }
}

/** A row is `<name>  <soft>  <hard>  <unit>`. */
function hardLimit(table: string, name: string): number | null {
  const row = table.split('\n').find((line) => line.startsWith(name))
  return wholeNumber(row?.slice(name.length).trim().split(/\s+/)[1] ?? '')
}

function wholeNumber(text: string): number | null {
  return /^[0-9]+$/.test(text) ? Number(text) : null
}

function smaller(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.min(a, b)
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not Linux: nothing is known, so nothing is bounded.
    return ''
  }
}
