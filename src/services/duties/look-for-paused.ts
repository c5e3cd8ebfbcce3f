import { type RunnerDriver, seesPauses } from '../../runners/driver.ts'
import type { ServiceRow } from '../state/record.ts'
import type { Supervisor } from '../supervisor.ts'
import type { ServiceView } from '../view.ts'

const CODE = 'HIVE_COCOON_PAUSED'
const PAUSED = { code: CODE, detail: 'somebody has paused it outside Hive: let it run on there, or stop it' } as const

export interface PausedParts {
  readonly view: ServiceView
  readonly supervisor: Supervisor
  readonly drivers: Iterable<RunnerDriver>
}

/** True if the record says that somebody keeps the cocoon from running on. */
export function isPaused({ record }: ServiceRow): boolean {
  return record.error?.code === CODE
}

/**
 * Looks once which running cocoons stand still, because somebody paused them in their runner. That is said in the
 * record and closes their routes; it ends nothing, and passes with its cause. A runner that is away says nothing.
 */
export async function lookForPaused(parts: PausedParts, signal: AbortSignal): Promise<void> {
  const rows = [...parts.view.rows()].filter(({ record, handle }) => record.state === 'running' && handle !== null)
  await Promise.all(
    [...parts.drivers].map((driver) => {
      const own = rows.filter(({ record }) => record.runner === driver.type)
      return look(parts, driver, { rows: own, signal }).catch(() => undefined)
    }),
  )
}

async function look(
  { supervisor }: PausedParts,
  driver: RunnerDriver,
  { rows, signal }: { readonly rows: readonly ServiceRow[]; readonly signal: AbortSignal },
): Promise<void> {
  if (rows.length === 0 || !seesPauses(driver)) return
  const handles = rows.flatMap(({ record, handle }) => (handle === null ? [] : [[record.id, handle] as const]))
  const paused = await driver.paused(new Map(handles), signal)
  for (const row of rows) {
    const { id, attempt } = row.record
    const error = paused.has(id) ? PAUSED : null
    if ((error !== null) !== isPaused(row)) await supervisor.observe(id, attempt, { type: 'trouble', error })
  }
}
