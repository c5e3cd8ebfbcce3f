import type { Usage } from '../usage/usage.ts'
import type { EngineFacts } from './engine-facts.ts'

type Json = Readonly<Record<string, unknown>>

const NOT_TOLD = 'the engine does not tell'
const NO_ACCOUNT = 'this engine cannot account for it (rootless on cgroups v1)'

/**
 * Reads one answer of `GET /containers/{id}/stats` (Docker Engine API 1.41).
 *
 * An engine that cannot limit has no cgroup of the container's own: what it tells of cpu and memory is zero, or that of
 * everybody (seen with Podman 4.3).
 *
 * @returns null if it does not look like the answer for a running container.
 */
export function readEngineStats(body: unknown, { limits, flavour, version }: EngineFacts): Usage | null {
  const accounts = limits.memory
  const root = object(body)
  // Docker answers zeros for a container that does not run, and says so by a time of year 1; Podman answers nothing.
  if (typeof root['read'] !== 'string' || root['read'].startsWith('0001-')) return null
  const nanos = accounts ? count(object(object(root['cpu_stats'])['cpu_usage'])['total_usage']) : null
  const memory = accounts ? memoryOf(object(root['memory_stats'])) : { bytes: null, limit: null }
  const threads = accounts ? count(object(root['pids_stats'])['current']) : null
  const network = networkOf(object(root['networks']), flavour === 'podman' && isBefore44(version))
  const why = accounts ? NOT_TOLD : NO_ACCOUNT
  return {
    cpuMs: nanos === null ? null : nanos / 1e6,
    memoryBytes: memory.bytes,
    memoryLimitBytes: memory.limit,
    processes: null,
    threads,
    openFiles: null,
    network,
    unknown: {
      processes: 'the engine counts threads only',
      open_files: NOT_TOLD,
      ...(nanos === null && { cpu: why }),
      ...(memory.bytes === null && { memory: why }),
      ...(memory.limit === null && { memory_limit: why }),
      ...(threads === null && { threads: why }),
      ...(network === null && { network: NOT_TOLD }),
    },
  }
}

/** Podman (4.3) does not tell how much of it is page cache, so what is left without is not known. */
function memoryOf(memory: Json): { readonly bytes: number | null; readonly limit: number | null } {
  const usage = count(memory['usage'])
  const stats = object(memory['stats'])
  const inactive = count(stats['total_inactive_file'] ?? stats['inactive_file'])
  const active = count(stats['total_active_file'] ?? stats['active_file'])
  const isKnown = usage !== null && inactive !== null && active !== null
  return { bytes: isKnown ? Math.max(0, usage - inactive - active) : null, limit: count(memory['limit']) }
}

/** Podman exchanged the directions until 4.4 (github.com/containers/podman/pull/16628). */
function isBefore44(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < 4 || (major === 4 && minor < 4)
}

function networkOf(networks: Json, isExchanged: boolean): Usage['network'] {
  let [rxBytes, txBytes] = [0, 0]
  const each = Object.values(networks).map(object)
  for (const { rx_bytes: received, tx_bytes: sent } of each) {
    rxBytes += count(received) ?? 0
    txBytes += count(sent) ?? 0
  }
  if (each.length === 0) return null
  return isExchanged ? { rxBytes: txBytes, txBytes: rxBytes } : { rxBytes, txBytes }
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}
