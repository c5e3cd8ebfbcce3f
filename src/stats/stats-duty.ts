import type { RunnerType } from '../kinds/kind.ts'
import type { RunnerDriver } from '../runners/driver.ts'
import { isEnded, type ServiceRow } from '../services/state/record.ts'
import { isLaunched } from '../services/state/transition.ts'
import type { ServiceView } from '../services/view.ts'
import type { StatsKeeper, StatsSubject } from './stats-keeper.ts'

type Drivers = ReadonlyMap<RunnerType, RunnerDriver>

/** Has a cocoon measured as soon as it is ready, and keeps no history of one that is removed. */
export function takeUpStats(view: ServiceView, stats: StatsKeeper, drivers: Drivers): void {
  view.onChange((row, previous) => {
    const { id, state } = row.record
    if (state === 'removed') stats.forget(id)
    else if (isEnded(state)) stats.rest(id)
    else if (state === 'running' && previous?.record.state !== 'running') {
      const subject = subjectOf(row, drivers)
      if (subject) void stats.measure(subject)
    }
  })
}

/** Everything that has been launched and has not ended. */
export function* statsSubjects(view: ServiceView, drivers: Drivers): Iterable<StatsSubject> {
  for (const row of view.rows()) {
    const subject = subjectOf(row, drivers)
    if (subject) yield subject
  }
}

export function runsAttempt(view: ServiceView, id: string, attempt: number): boolean {
  const row = view.byId(id)
  return row !== null && row.record.attempt === attempt && isAlive(row)
}

function subjectOf(row: ServiceRow, drivers: Drivers): StatsSubject | null {
  const { id, attempt, runner } = row.record
  const driver = drivers.get(runner)
  return driver && row.handle !== null && isAlive(row) ? { id, attempt, driver, handle: row.handle } : null
}

function isAlive(row: ServiceRow): boolean {
  const { state } = row.record
  return isLaunched(row) && (state === 'starting' || state === 'running' || state === 'stopping')
}
