import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CgroupDirectories } from './cgroup-directories.ts'

/**
 * How many of a cocoon's processes the kernel has killed for memory; null = nothing counts them, as where the memory
 * controller does not act, or the cgroup is gone.
 * @see Documentation/admin-guide/cgroup-v2.rst `memory.events`, cgroup-v1/memory.rst `memory.oom_control`
 */
export function oomKills({ v2, memory }: CgroupDirectories): number | null {
  return countIn(v2, 'memory.events') ?? countIn(memory, 'memory.oom_control')
}

function countIn(directory: string | null, file: string): number | null {
  if (directory === null) return null
  try {
    const found = /^oom_kill (\d+)$/m.exec(readFileSync(join(directory, file), 'latin1'))?.[1]
    return found === undefined ? null : Number(found)
  } catch {
    return null
  }
}
