import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { readProc, readStat } from '../script/identity.ts'

/** So long one look at all processes serves everybody who asks. */
const FRESH_MS = 2_500
const CONTAINER_ID = /(?<monitor>conmon-)?(?<id>[0-9a-f]{64})/g

/**
 * Finds the processes of running containers on this machine without their engines, which may be away: a container's
 * cgroups bear its id, and where they do not (rootless Podman on cgroups v1), it is the child of a monitor that was
 * started with its id (conmon(8), `--cid`).
 */
export class LocalContainers {
  #readAt = Number.NEGATIVE_INFINITY
  #pids: ReadonlyMap<string, number> = new Map()

  /** A process in the container; null = it does not run, or not on this machine. */
  pidOf(containerId: string): number | null {
    if (performance.now() - this.#readAt >= FRESH_MS) {
      this.#pids = readContainers()
      this.#readAt = performance.now()
    }
    return this.#pids.get(containerId) ?? null
  }
}

function readContainers(): ReadonlyMap<string, number> {
  const pids = processIds()
  const named = pids.flatMap((pid) => pair(containerOf(readProc(pid, 'cgroup') ?? ''), pid))
  const inNamed = new Set(named.map(([, pid]) => pid))
  const others = pids.filter((pid) => !inNamed.has(pid))
  const monitors = new Map(others.flatMap((pid) => pair(monitoredBy(pid), pid)).map(([id, pid]) => [pid, id]))
  const children = monitors.size === 0 ? [] : others
  const monitored = children.flatMap((pid) => pair(monitors.get(readStat(pid)?.parent ?? 0) ?? null, pid))
  // Of several processes the first one, whose number mostly is the lowest.
  return new Map([...monitored, ...named].reverse())
}

function pair(id: string | null, pid: number): [string, number][] {
  return id === null ? [] : [[id, pid]]
}

function processIds(): readonly number[] {
  try {
    const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return names.map(Number).sort((a, b) => a - b)
  } catch {
    return [] // not Linux
  }
}

/** True if Podman's monitor of a container runs on this machine. */
export function isMonitored(containerId: string): boolean {
  return processIds().some((pid) => monitoredBy(pid) === containerId)
}

/** The innermost container that a cgroup path names (proc_pid_cgroup(5)); its monitor's own cgroup is not the container. */
export function containerOf(cgroups: string): string | null {
  for (const line of cgroups.split('\n')) {
    const last = [...line.matchAll(CONTAINER_ID)].at(-1)?.groups
    if (last?.['id'] !== undefined && last['monitor'] === undefined) return last['id']
  }
  return null
}

function monitoredBy(pid: number): string | null {
  const argv = (readProc(pid, 'cmdline') ?? '').split('\0')
  // One of a command that is run beside (`--exec`) says nothing of the container's own end.
  if (basename(argv[0] ?? '') !== 'conmon' || argv.includes('-e') || argv.includes('--exec')) return null
  const at = argv.findIndex((word) => word === '-c' || word === '--cid')
  return at === -1 ? null : (argv[at + 1] ?? null)
}
