import type { Usage } from '../runners/usage/usage.ts'

/** What one cocoon used at one moment, as it goes over the wire; `null` = not known. The same for all runners. */
export interface StatsSample {
  readonly at: string
  readonly attempt: number
  /** Seconds of CPU time since the launch of this attempt. */
  readonly cpu_seconds: number | null
  /** Percent of one processor since the sample before; null in the first one of an attempt. */
  readonly cpu_percent: number | null
  readonly memory_bytes: number | null
  readonly memory_limit_bytes: number | null
  readonly processes: number | null
  readonly threads: number | null
  readonly open_files: number | null
  readonly network_rx_bytes: number | null
  readonly network_tx_bytes: number | null
  /** Why a value is not known, by the name of what is measured. */
  readonly unknown: Usage['unknown']
}

export interface Measured {
  readonly usage: Usage
  readonly attempt: number
  readonly at: string
  /** Milliseconds of the monotonic clock. */
  readonly clockMs: number
}

export function toSample(now: Measured, before: Measured | null): StatsSample {
  const { usage, at, attempt } = now
  return {
    at,
    attempt,
    cpu_seconds: usage.cpuMs === null ? null : usage.cpuMs / 1_000,
    cpu_percent: before === null ? null : cpuPercent(now, before),
    memory_bytes: usage.memoryBytes,
    memory_limit_bytes: usage.memoryLimitBytes,
    processes: usage.processes,
    threads: usage.threads,
    open_files: usage.openFiles,
    network_rx_bytes: usage.network?.rxBytes ?? null,
    network_tx_bytes: usage.network?.txBytes ?? null,
    unknown: usage.unknown,
  }
}

/** A sum over processes shrinks when one of them ends: what was used meanwhile is not known then. */
function cpuPercent(now: Measured, before: Measured): number | null {
  const [spent, earlier] = [now.usage.cpuMs, before.usage.cpuMs]
  const elapsedMs = now.clockMs - before.clockMs
  if (spent === null || earlier === null || now.attempt !== before.attempt) return null
  if (spent < earlier || elapsedMs <= 0) return null
  return Math.round(((spent - earlier) / elapsedMs) * 10_000) / 100
}
