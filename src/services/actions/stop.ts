import { type ExitStatus, type RunnerHandle, tellsSurvivors } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import type { ServiceError } from '../state/record.ts'
import { isLaunched } from '../state/transition.ts'
import { persist } from './trouble.ts'

/** Ends what runs, however long its runner is away, and reports what its exit was. */
export async function stop(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  const ended = await persist(context, () => stopAll(context, signal), { signal })
  await context.observe(attempt, { type: 'stopped', ...ended })
}

/** Removes everything the service left in its runner, then the service. */
export async function remove(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  const { volumes } = context.row().intent
  await persist(
    context,
    async () => {
      await context.parts.drainLog(context.row())
      for (const { handle } of await objects(context, signal)) await context.driver.remove(handle, { volumes }, signal)
    },
    { signal },
  )
  await context.observe(attempt, { type: 'removed' })
}

interface Ended {
  readonly exit: ExitStatus | null
  readonly error: ServiceError | null
}

async function stopAll(context: ActionContext, signal: AbortSignal): Promise<Ended> {
  const { stopGraceMs } = context.row().config
  const { attempt } = context.row().record
  const survivors: string[] = []
  let exit: ExitStatus | null = null
  for (const object of await objects(context, signal)) {
    await context.driver.stop(object.handle, stopGraceMs, signal)
    if (tellsSurvivors(context.driver)) survivors.push(...(await context.driver.survivors(object.handle, signal)))
    const status = await context.driver.inspect(object.handle, signal)
    // What an earlier attempt left behind tells nothing of this one.
    if (status.state === 'exited' && object.attempt === attempt) exit = status.exit
  }
  return { exit, error: tellOf(context, survivors) }
}

function tellOf(context: ActionContext, survivors: readonly string[]): ServiceError | null {
  if (survivors.length === 0) return null
  const { attempt } = context.row().record
  context.log.warn({ attempt, survivors }, 'something seems to have got away from the stop')
  const detail = `something seems to have got away from the stop and was left alone: ${survivors.join('; ')}`
  return { code: 'HIVE_SURVIVORS', detail }
}

interface Found {
  readonly handle: RunnerHandle
  readonly attempt: number
}

/**
 * The stored handle of the current attempt is all there is. Without one a launch may have lost its answer: then the
 * runner is asked for whatever carries the service's id (a list of all, so not asked without need).
 */
async function objects(context: ActionContext, signal: AbortSignal): Promise<readonly Found[]> {
  const { mayExist, handle, launchedAttempt, record } = context.row()
  if (!mayExist) return []
  if (handle !== null && isLaunched(context.row())) return [{ handle, attempt: launchedAttempt }]
  const others = (await context.driver.list(signal)).filter(({ id }) => id === record.id)
  if (handle === null) return others
  const unknown = others.filter((other) => !sameHandle(other.handle, handle))
  return [...unknown, { handle, attempt: launchedAttempt }]
}

function sameHandle(left: RunnerHandle, right: RunnerHandle): boolean {
  return JSON.stringify(left.data) === JSON.stringify(right.data)
}
