import type { RunnerType } from '../../kinds/kind.ts'
import type { LogKeeper, LogSource } from '../../logs/log-keeper.ts'
import type { RunnerDriver } from '../../runners/driver.ts'
import { isEnded, type ServiceRow } from '../state/record.ts'
import { isLaunched } from '../state/transition.ts'
import type { ServiceView } from '../view.ts'

/** An engine that does not answer must not hold up a removal for longer. */
const DRAIN_LIMIT_MS = 10_000

export interface LogDuty {
  /** Takes what the last launched attempt wrote; for an attempt that has ended. Never throws. */
  drain(row: ServiceRow): Promise<void>
}

/** Sees to it that what cocoons write is collected from their launch on, and that nothing is left when they have ended. */
export function takeUpLogs(
  view: ServiceView,
  logs: LogKeeper,
  drivers: ReadonlyMap<RunnerType, RunnerDriver>,
): LogDuty {
  const drain = async (row: ServiceRow) => {
    const source = sourceOf(row, drivers)
    if (source) await logs.drain(source, AbortSignal.timeout(DRAIN_LIMIT_MS))
  }
  view.onChange((row, previous) => {
    const { state } = row.record
    if (state === 'removed') return
    if (isEnded(state)) {
      if (previous === null || !isEnded(previous.record.state)) void drain(row)
      return
    }
    const source = isLaunched(row) ? sourceOf(row, drivers) : null
    if (source) logs.collect(source)
  })
  return { drain }
}

function sourceOf(row: ServiceRow, drivers: ReadonlyMap<RunnerType, RunnerDriver>): LogSource | null {
  const { handle, launchedAttempt, record } = row
  const driver = drivers.get(record.runner)
  return handle === null || !driver ? null : { id: record.id, attempt: launchedAttempt, driver, handle }
}
