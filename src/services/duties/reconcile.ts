import type { Logger } from 'pino'
import type { OwnedObject, RunnerDriver } from '../../runners/driver.ts'
import type { Clock } from '../context.ts'
import { isEnded, type ServiceRow } from '../state/record.ts'
import type { Supervisor } from '../supervisor.ts'
import type { ServiceView } from '../view.ts'

const TOMBSTONE_MS = 24 * 60 * 60 * 1000

export interface ReconcileParts {
  readonly view: ServiceView
  readonly supervisor: Supervisor
  readonly drivers: Iterable<RunnerDriver>
  readonly clock: Clock
  readonly log: Logger
  /** Ended services older than this are removed; null = kept. */
  readonly keepEndedMs: number | null
}

/**
 * One pass: what runs is vouched for, what reappears after its service was removed or has ended is cleared away, old
 * tombstones are dropped. Objects that no row claims are left alone: they may belong to a table that was lost.
 */
export async function reconcile(parts: ReconcileParts, signal: AbortSignal): Promise<void> {
  for (const driver of parts.drivers) {
    const objects = await driver.list(signal).catch((error: unknown) => {
      parts.log.debug({ runner: driver.type, err: error }, 'this runner could not be reconciled')
      return []
    })
    for (const object of objects) await reconcileObject(parts, driver, object, signal)
    if (signal.aborted) return
  }
  await dropOld(parts)
}

async function reconcileObject(
  parts: ReconcileParts,
  driver: RunnerDriver,
  object: OwnedObject,
  signal: AbortSignal,
): Promise<void> {
  const row = parts.view.byId(object.id)
  if (row === null || row.record.runner !== driver.type) return
  if (!isLeftover(row, object)) {
    if (object.running) parts.view.setObserved(object.id, parts.clock.now().toISOString())
    return
  }
  const log = parts.log.child({ service: row.record.name, id: object.id, runner: driver.type })
  try {
    // The list was made a while ago: what holds now is asked where nothing can be launched meanwhile.
    await parts.supervisor.whileAtRest(object.id, async (now) => {
      if (!isLeftover(now, object)) return
      log.warn({ state: now.record.state }, 'clearing away a leftover')
      await clear(driver, object, { row: now, signal })
    })
  } catch (error) {
    log.debug({ err: error }, 'the leftover stays for now')
  }
}

/** Of a removed service nothing may be there, of an ended one nothing may run. */
function isLeftover(row: ServiceRow, object: OwnedObject): boolean {
  return row.record.state === 'removed' || (isEnded(row.record.state) && object.running)
}

/** What was lost is never used again; what a stopped service still has is kept for its next start. */
async function clear(
  driver: RunnerDriver,
  object: OwnedObject,
  { row, signal }: { readonly row: ServiceRow; readonly signal: AbortSignal },
): Promise<void> {
  const { state } = row.record
  if (state === 'removed' || state === 'lost')
    await driver.remove(object.handle, { volumes: row.intent.volumes && state === 'removed' }, signal)
  else await driver.stop(object.handle, row.config.stopGraceMs, signal)
}

async function dropOld(parts: ReconcileParts): Promise<void> {
  const now = parts.clock.now().getTime()
  for (const row of [...parts.view.rows()]) {
    if (row.removedAt !== null && now - Date.parse(row.removedAt) > TOMBSTONE_MS) await parts.supervisor.forget(row)
    else if (isExpired(row, parts.keepEndedMs, now))
      await parts.supervisor.intend(row.record.id, { desired: 'removed', by: 'ttl', reason: 'HIVE_KEEP_ENDED' })
  }
}

function isExpired(row: ServiceRow, keepEndedMs: number | null, now: number): boolean {
  const { state, ended_at, desired } = row.record
  if (keepEndedMs === null || ended_at === null || !isEnded(state) || desired === 'removed') return false
  return row.targetAttempt <= row.record.attempt && now - Date.parse(ended_at) > keepEndedMs
}
