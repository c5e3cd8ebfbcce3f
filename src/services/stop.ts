import type { ExitStatus, RunnerHandle } from '../runners/driver.ts'
import type { ActionContext } from './context.ts'
import { persist } from './trouble.ts'

/** Ends what runs, however long its runner is away, and reports what its exit was. */
export async function stop(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  const exit = await persist(context, () => stopAll(context, signal), { signal })
  await context.observe(attempt, { type: 'stopped', exit })
}

/** Removes everything the service left in its runner, then the service. */
export async function remove(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt, id } = context.row().record
  const { volumes } = context.row().intent
  await persist(
    context,
    async () => {
      for (const handle of await handles(context, signal)) await context.driver.remove(handle, { volumes }, signal)
    },
    { signal },
  )
  await context.observe(attempt, { type: 'removed' })
  context.parts.ports.release(id)
}

async function stopAll(context: ActionContext, signal: AbortSignal): Promise<ExitStatus | null> {
  const { stopGraceMs } = context.row().config
  let exit: ExitStatus | null = null
  for (const handle of await handles(context, signal)) {
    await context.driver.stop(handle, stopGraceMs, signal)
    const status = await context.driver.inspect(handle, signal)
    if (status.state === 'exited') exit = status.exit
  }
  return exit
}

/** The stored handle, and whatever else carries the service's id: a launch whose answer was lost leaves no handle. */
async function handles(context: ActionContext, signal: AbortSignal): Promise<readonly RunnerHandle[]> {
  const { mayExist, handle, record } = context.row()
  if (!mayExist) return []
  const found = await context.driver.list(signal)
  const own = found.filter(({ id }) => id === record.id).map((object) => object.handle)
  const known = handle && !own.some((other) => sameHandle(other, handle)) ? [handle] : []
  return [...own, ...known]
}

function sameHandle(left: RunnerHandle, right: RunnerHandle): boolean {
  return JSON.stringify(left.data) === JSON.stringify(right.data)
}
