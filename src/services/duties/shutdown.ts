import type { Logger } from 'pino'
import { isActive, type ServiceRow } from '../state/record.ts'
import type { Supervisor } from '../supervisor.ts'
import type { ServiceView } from '../view.ts'

export interface ShutdownParts {
  readonly view: ServiceView
  readonly supervisor: Supervisor
  readonly log: Logger
}

/**
 * HIVE_STOP_ON_EXIT: asks every service that runs, or would by itself run again, to stop, those included that are born
 * meanwhile; then waits until nothing runs any more or the signal aborts. What is left then is stopped by the next start.
 *
 * @returns names of the services that are still active.
 */
export async function stopAll(parts: ShutdownParts, signal: AbortSignal): Promise<readonly string[]> {
  const { view, supervisor, log } = parts
  const ask = (row: ServiceRow) => {
    const { id, name, desired } = row.record
    if (desired !== 'running' || !isOwed(row)) return
    supervisor.intend(id, { desired: 'stopped', by: 'shutdown', reason: 'HIVE_STOP_ON_EXIT' }).catch((err: unknown) => {
      log.error({ err, service: name, id }, 'this service could not be asked to stop')
    })
  }
  const off = view.onChange(ask)
  try {
    for (const row of view.rows()) ask(row)
    // Again and again, because some may have been born meanwhile.
    for (let left = active(view); left.length > 0 && !signal.aborted; left = active(view))
      await Promise.all(left.map(({ record }) => view.until(record.id, (row) => !isActive(row.record.state), signal)))
  } finally {
    off()
  }
  return active(view).map(({ record }) => record.name)
}

function isOwed({ record, targetAttempt }: ServiceRow): boolean {
  return isActive(record.state) || targetAttempt > record.attempt
}

function active(view: ServiceView): readonly ServiceRow[] {
  return [...view.rows()].filter(({ record }) => isActive(record.state))
}
