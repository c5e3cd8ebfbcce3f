import { statSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { ExitStatus } from '../driver.ts'
import { readSmall } from './run-directory.ts'

export interface RecordedExit {
  readonly exit: ExitStatus
  /** ISO 8601. */
  readonly endedAt: string
}

/** How the worker ended, as its launcher wrote it; null = it did not (yet). */
export function readExit(directory: string): RecordedExit | null {
  const [, code, oom] = /^(\d{1,3})( oom)?\n$/.exec(readSmall(directory, 'exit') ?? '') ?? []
  if (code === undefined) return null
  try {
    const endedAt = statSync(join(directory, 'exit')).mtime.toISOString()
    return { exit: exitStatus(Number(code), oom !== undefined), endedAt }
  } catch {
    return null
  }
}

/** The exit of a shell's `$?`: 128 + n is signal n (POSIX sh 2.8.2), which a program's own exit(128 + n) looks like, too. */
export function exitStatus(code: number, oom = false): ExitStatus {
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0]
  return { code, signal: name ?? null, oom: oom && code !== 0 }
}
