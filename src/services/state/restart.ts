import { createHash } from 'node:crypto'
import type { RestartPolicy } from '../../kinds/kind.ts'
import type { RestartCount, ServiceRow } from './record.ts'

/** A cocoon that was ready this long has proved itself: what went wrong before is forgotten. */
export const HEALTHY_MS = 600_000

const JITTER = 0.25

export const NO_RESTARTS: RestartCount = Object.freeze({ charged: [], waits: 0, forgiven: 0 })

/**
 * Decides, when an attempt has just ended by itself, whether and when there will be another. Pure; the answer stands in
 * the row (`next_attempt_at`, `restart`), so that it outlives Hive.
 *
 * @param charged  false when the runner's own trouble ended it: no budget is spent.
 */
export function planRestart(row: ServiceRow, now: string, charged: boolean): ServiceRow {
  const { record, config } = row
  if (record.desired !== 'running' || row.targetAttempt > record.attempt || !isCovered(row, config.restart)) return row
  const at = Date.parse(now)
  const proved = record.ready_at !== null && at - Date.parse(record.ready_at) >= HEALTHY_MS
  const before = proved ? NO_RESTARTS : row.restart
  const recent = before.charged.filter((time) => isWithin(at - Date.parse(time), config.restart.windowMs))
  if (charged && recent.length >= config.restart.maxAttempts) return crashLoop(row, recent.length)
  const waitMs = backoffMs(config.restart, before.waits, `${record.id} ${record.attempt}`)
  const restart = charged
    ? { ...before, charged: [...recent, now], waits: before.waits + 1 }
    : { ...before, charged: recent }
  return { ...row, record: { ...record, next_attempt_at: new Date(at + waitMs).toISOString() }, restart }
}

/** What lies in the future, by a clock that was set back, would count for as long as it was set back. */
function isWithin(ageMs: number, windowMs: number): boolean {
  return ageMs >= 0 && ageMs < windowMs
}

/**
 * What ran when the host went down runs again when it is back, at once and at no charge, however it ended: an orderly
 * shutdown ends everything with 0.
 */
export function comeBack(row: ServiceRow): ServiceRow {
  const { desired, attempt } = row.record
  if (desired !== 'running' || row.targetAttempt > attempt || row.config.restart.policy === 'never') return row
  const intent = { ...row.intent, by: 'restart' as const, reason: 'the host was restarted' }
  return { ...row, targetAttempt: attempt + 1, intent, restart: { ...row.restart, forgiven: attempt + 1 } }
}

/** The runner is away while this attempt is launched: then its predecessor's end was the runner's doing, too. */
export function forgive(row: ServiceRow): ServiceRow {
  const { charged, waits, forgiven } = row.restart
  const { attempt } = row.record
  if (row.intent.by !== 'restart' || forgiven === attempt) return row
  return { ...row, restart: { charged: charged.slice(0, -1), waits: Math.max(0, waits - 1), forgiven: attempt } }
}

/** Doubles from the least to the most; up to a quarter more, the same for the same attempt, so that it can be foretold. */
export function backoffMs(policy: RestartPolicy, waits: number, seed: string): number {
  const base = Math.min(policy.backoffMaxMs, policy.backoffMinMs * 2 ** Math.min(waits, 30))
  const share = createHash('sha256').update(seed).digest().readUInt16BE() / 65_536
  return Math.round(base * (1 + JITTER * share))
}

export function longestBackoffMs({ backoffMinMs, backoffMaxMs }: RestartPolicy): number {
  return Math.max(backoffMinMs, backoffMaxMs) * (1 + JITTER)
}

/** `on-failure` covers what failed or was lost, `always` an end with 0, too. What never ran is not tried again. */
function isCovered({ record }: ServiceRow, { policy }: RestartPolicy): boolean {
  if (policy === 'never' || record.state === 'rejected') return false
  return policy === 'always' || record.state !== 'stopped'
}

function crashLoop(row: ServiceRow, restarts: number): ServiceRow {
  const { exit, error } = row.record
  const minutes = row.config.restart.windowMs / 60_000
  const detail = `it was restarted ${restarts} times in ${minutes} min and ended again: mend it, then start it by hand`
  const record = {
    ...row.record,
    state: 'failed' as const,
    exit: exit && { ...exit, reason: 'crash_loop' as const },
    error: { code: 'HIVE_START_FAILED', detail: error ? `${detail} (${error.detail})` : detail },
  }
  return { ...row, record }
}
