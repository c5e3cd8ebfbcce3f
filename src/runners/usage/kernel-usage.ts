import type { CgroupDirectories } from './cgroup-directories.ts'
import { cgroupCpuMs, cgroupMemory, cgroupPids } from './cgroup-usage.ts'
import { MOST_PROCESSES, processUsage } from './process-usage.ts'
import type { Usage } from './usage.ts'

const TOO_MANY = `it has more than ${MOST_PROCESSES} processes`
const NOT_OURS = 'this user may not look into its processes'
const NO_ACCOUNT = 'no cgroup of its own accounts for its memory'

/**
 * What the kernel of this machine knows of a cocoon: its own cgroups where there are some, else sums over its processes.
 *
 * @param otherPids  its processes if no cgroup is its own; null = they cannot be found.
 */
export function kernelUsage(
  directories: CgroupDirectories,
  otherPids: () => readonly number[] | null,
): Omit<Usage, 'network'> {
  const inCgroup = cgroupPids(directories)
  const pids = inCgroup.length > 0 ? inCgroup : otherPids()
  const sums = pids === null ? null : processUsage(pids)
  const memory = cgroupMemory(directories)
  const known = {
    cpuMs: cgroupCpuMs(directories) ?? sums?.cpuMs ?? null,
    memoryBytes: memory?.bytes ?? sums?.memoryBytes ?? null,
    memoryLimitBytes: memory?.limitBytes ?? null,
    processes: sums?.processes ?? pids?.length ?? null,
    threads: sums?.threads ?? null,
    openFiles: sums?.openFiles ?? null,
  }
  const why = pids !== null && sums === null ? TOO_MANY : NOT_OURS
  return { ...known, unknown: { ...reasons(known, why), ...(memory === null && { memory_limit: NO_ACCOUNT }) } }
}

function reasons(known: Omit<Usage, 'network' | 'unknown'>, why: string): Usage['unknown'] {
  return {
    ...(known.cpuMs === null && { cpu: why }),
    ...(known.memoryBytes === null && { memory: why }),
    ...(known.processes === null && { processes: why }),
    ...(known.threads === null && { threads: why }),
    ...(known.openFiles === null && { open_files: why }),
  }
}
