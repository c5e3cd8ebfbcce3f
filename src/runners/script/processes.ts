import { readdirSync } from 'node:fs'
import { type ProcessStat, readProc, readStat } from './identity.ts'
import { isLauncher, isShim } from './launcher.ts'

/** Every process that Hive can see. */
export function allProcesses(): ProcessStat[] {
  return allPids().flatMap((pid) => readStat(pid) ?? [])
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** True if a launcher or shim of this attempt runs, whether or not it has said so. Looks at every process. */
export function launcherRuns(directory: string): boolean {
  return allProcesses().some(({ pid }) => {
    const line = readProc(pid, 'cmdline') ?? ''
    return (isLauncher(line) || isShim(line)) && line.includes(`\0${directory}/`)
  })
}
