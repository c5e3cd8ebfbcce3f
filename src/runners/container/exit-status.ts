import { constants } from 'node:os'
import type { ExitStatus } from '../driver.ts'

const SIGNAL_NAMES: ReadonlyMap<number, string> = new Map(
  // Some numbers have two names (SIGIOT = SIGABRT); the later, less usual one must not win.
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
)

/**
 * The exit of a container in the words of a shell: engines answer 128 + n for signal n already, so a program that
 * itself ends with such a code cannot be told apart.
 */
export function exitStatus(code: number, oom: boolean): ExitStatus {
  return { code, signal: code > 128 ? (SIGNAL_NAMES.get(code - 128) ?? null) : null, oom }
}
