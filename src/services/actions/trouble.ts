import { type RunnerHandle, type RunnerStatus, RunnerUnreachable } from '../../runners/driver.ts'
import { type ActionContext, ticksOf } from '../context.ts'
import { Backoff } from './backoff.ts'

const CODE = 'HIVE_RUNNER_UNAVAILABLE'
/** How long a launch waits for a runner that does not answer (design 5: no engine for 10 min = rejected). */
export const RUNNER_PATIENCE_MS = 600_000
/** Short enough that everything is as it should be within 30 s of the runner's return (F31). */
export const ASK_AGAIN_MS = 10_000

/**
 * Runs one driver call until the runner answers. While it does not, the record says so under `error` and the state
 * stays as it is: an engine that is down proves nothing about a cocoon.
 *
 * @param deadline  ticks of the clock after which the last error is thrown; null = never.
 */
export async function persist<Result>(
  context: ActionContext,
  call: () => Promise<Result>,
  options: { readonly signal: AbortSignal; readonly deadline?: number | null },
): Promise<Result> {
  const backoff = new Backoff(500, ASK_AGAIN_MS)
  for (;;) {
    try {
      const result = await call()
      await clear(context)
      return result
    } catch (error) {
      options.signal.throwIfAborted()
      if (!(error instanceof RunnerUnreachable)) throw error
      await say(context, error)
      if (options.deadline && ticksOf(context.parts.clock) >= options.deadline) throw error
      await backoff.wait(options.signal)
    }
  }
}

/** What the runner knows of an object, however long it takes to answer. */
export function inspectSurely(
  context: ActionContext,
  handle: RunnerHandle,
  signal: AbortSignal,
): Promise<Exclude<RunnerStatus, { state: 'unreachable' }>> {
  const ask = async () => {
    const status = await context.driver.inspect(handle, signal)
    if (status.state === 'unreachable') throw new RunnerUnreachable(status.reason)
    return status
  }
  return persist(context, ask, { signal })
}

export async function say(context: ActionContext, error: RunnerUnreachable): Promise<void> {
  const { attempt } = context.row().record
  context.log.warn({ attempt, reason: error.message }, 'the runner does not answer')
  await context.observe(attempt, { type: 'trouble', error: { code: CODE, detail: error.message } })
}

async function clear(context: ActionContext): Promise<void> {
  const { attempt, error } = context.row().record
  if (error?.code === CODE) await context.observe(attempt, { type: 'trouble', error: null })
}
