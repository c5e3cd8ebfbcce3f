import { pollUntil } from '../../health/poll.ts'
import type { RunnerHandle } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import { providersMoved } from './await-providers.ts'
import { greet, reportEnd, waitForEnd } from './end.ts'
import { firstOf } from './first-of.ts'
import { watchHealth } from './health-watch.ts'
import { idleOver } from './idle-watch.ts'
import { inspectSurely, persist } from './trouble.ts'

/** Many a worker never listens, and there may be hundreds of them. A late one waits a third of the time it took itself. */
const RARELY_MS = 10_000
/** Who has run for so long and does not listen at the first look is not about to do so. */
const SETTLED_MS = 10_000
const SETTLED_PAUSE_MS = 200

type Over =
  | { readonly type: 'idle' }
  | { readonly type: 'moved'; readonly reason: string }
  | { readonly type: 'end'; readonly report: () => Promise<void> }
  | { readonly type: 'unhealthy'; readonly detail: string }

/** A running cocoon: opens its route once its own listener is seen, probes it, waits for its end. */
export async function watch(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { handle, record } = context.row()
  if (handle === null) return
  const greeted = greet(context, handle, signal)
  greeted.catch(() => undefined) // each of those below hears of it
  const over = await firstOf<Over>(signal, [
    async (inner) => {
      await greeted
      const end = await waitForEnd(context, handle, inner)
      return { type: 'end', report: () => reportEnd(context, record.attempt, end) }
    },
    async (inner) => {
      // Its runner may be long in answering: who is already served goes on being.
      await openRoute(context, handle, inner)
      await greeted
      return { type: 'unhealthy', detail: await watchHealth(context, handle, inner) }
    },
    async (inner) => {
      await greeted
      // Asked for in the moment of the decision: a request that comes after it can undo only what was asked for.
      await stopIdle(context, await idleOver(context, handle, inner))
      return { type: 'idle' }
    },
    async (inner) => {
      await greeted
      return { type: 'moved', reason: await providersMoved(context, inner) }
    },
  ])
  if (over.type === 'moved') await startAgain(context, over.reason)
  else if (over.type === 'end') await over.report()
  else if (over.type === 'unhealthy') await endUnhealthy(context, handle, { detail: over.detail, signal })
}

async function stopIdle(context: ActionContext, reason: string): Promise<void> {
  try {
    await context.intend({ desired: 'stopped', by: 'idle', reason })
  } finally {
    context.parts.view.rest(context.row().record.id, false)
  }
}

/** Its environment says where it finds what it uses, and only a new start changes that. */
async function startAgain(context: ActionContext, reason: string): Promise<void> {
  const { attempt } = context.row().record
  context.log.info({ attempt, reason }, 'started again to reach what it uses')
  await context.intend({ desired: 'running', again: true, by: 'uses', reason })
}

async function endUnhealthy(
  context: ActionContext,
  handle: RunnerHandle,
  { detail, signal }: { readonly detail: string; readonly signal: AbortSignal },
): Promise<void> {
  const { attempt } = context.row().record
  const { stopGraceMs } = context.row().config
  context.log.warn({ attempt, reason: detail }, 'unhealthy: it is stopped')
  await persist(context, () => context.driver.stop(handle, stopGraceMs, signal), { signal })
  const status = await inspectSurely(context, handle, signal)
  await context.observe(attempt, { type: 'unhealthy', exit: status.state === 'exited' ? status.exit : null, detail })
}

/** Without a listener the route just stays closed. */
async function openRoute(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<void> {
  const { view, clock } = context.parts
  const { id, attempt, started_at } = context.row().record
  const [binding] = context.row().leases
  // A cocoon that has checks is watched even if its port never opens.
  if (!binding || view.isListening(id, attempt)) return
  const listens = () => context.driver.listens(handle, binding, signal).catch(() => false)
  const isSettled = clock.now().getTime() - Date.parse(started_at ?? context.row().attemptAt) > SETTLED_MS
  const pauses = { ...(isSettled && { firstMs: SETTLED_PAUSE_MS }), longestMs: RARELY_MS }
  const opened = pollUntil(listens, signal, pauses).then(() => view.setListening(id, attempt))
  if (context.row().config.healthChecks.length === 0) await opened
  else opened.catch(() => undefined) // ends with the signal
}
