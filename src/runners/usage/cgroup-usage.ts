import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CgroupDirectories } from './cgroup-directories.ts'

/**
 * What the kernel accounts for a cgroup. These files never touch a disk, so they are read synchronously.
 * @see Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/{memory,cpuacct}.rst
 */

/** Limits of v1 that stand for none: the largest number of pages. */
const NO_LIMIT = 2 ** 60

/** Milliseconds of CPU time; null = not accounted for. `cpu.stat` has it whether or not the controller is enabled. */
export function cgroupCpuMs({ v2, cpuacct }: CgroupDirectories): number | null {
  const micros = v2 === null ? null : field(readText(v2, 'cpu.stat'), 'usage_usec')
  if (micros !== null) return micros / 1_000
  const nanos = cpuacct === null ? null : wholeNumber(readText(cpuacct, 'cpuacct.usage'))
  return nanos === null ? null : nanos / 1e6
}

export interface CgroupMemory {
  readonly bytes: number
  /** null = none. */
  readonly limitBytes: number | null
}

/** null = its memory is not accounted for. */
export function cgroupMemory({ v2, memory }: CgroupDirectories): CgroupMemory | null {
  const found = v2 === null ? null : memoryOf(v2, { used: 'memory.current', limit: 'memory.max', prefix: '' })
  if (found !== null || memory === null) return found
  const names = { used: 'memory.usage_in_bytes', limit: 'memory.limit_in_bytes', prefix: 'total_' }
  return memoryOf(memory, names)
}

/** Every process in the cgroups and below them. */
export function cgroupPids({ v2, memory, cpuacct }: CgroupDirectories): readonly number[] {
  const pids = [v2, memory, cpuacct].flatMap((directory) => (directory === null ? [] : pidsBelow(directory)))
  return [...new Set(pids)]
}

function memoryOf(
  directory: string,
  names: { readonly used: string; readonly limit: string; readonly prefix: string },
): CgroupMemory | null {
  const used = wholeNumber(readText(directory, names.used))
  const stat = readText(directory, 'memory.stat')
  const inactive = field(stat, `${names.prefix}inactive_file`)
  const active = field(stat, `${names.prefix}active_file`)
  if (used === null || inactive === null || active === null) return null
  const limit = wholeNumber(readText(directory, names.limit))
  // The two files are not read at one instant.
  return { bytes: Math.max(0, used - inactive - active), limitBytes: limit === null || limit > NO_LIMIT ? null : limit }
}

function pidsBelow(directory: string): readonly number[] {
  const own = (readText(directory, 'cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number)
  return [...own, ...subdirectories(directory).flatMap(pidsBelow)]
}

function subdirectories(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name))
  } catch {
    return [] // gone meanwhile
  }
}

function field(text: string | null, name: string): number | null {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1]
  return found === undefined ? null : Number(found)
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text.trim()) ? Number(text) : null
}

function readText(directory: string, file: string): string | null {
  try {
    return readFileSync(join(directory, file), 'latin1')
  } catch {
    return null // gone meanwhile, or this controller does not act here
  }
}
