import { setTimeout as delay } from 'node:timers/promises'
import { pollUntil } from '../health/poll.ts'
import { LaunchRefused, type RunnerHandle } from '../runners/driver.ts'
import { isBindable } from './bindable.ts'
import type { ActionContext } from './context.ts'
import { type End, reportEnd, waitForEnd } from './end.ts'
import { firstOf } from './first-of.ts'
import { firstPass } from './health-watch.ts'
import { movePorts } from './launch.ts'
import { inspectSurely, persist } from './trouble.ts'

type Seen = { readonly type: 'end'; readonly end: End } | { readonly type: 'ready' } | { readonly type: 'late' }

/**
 * From launched to ready: whichever comes first of readiness, its end, and the time limit. Ready is what is declared:
 * all health checks, else its own listener on the port, else nothing more than the start (design 5).
 */
export async function awaitReady(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { handle, gated, record, config } = context.row()
  if (handle === null) return
  if (!gated && config.healthChecks.length === 0) {
    await context.observe(record.attempt, { type: 'ready' })
    return
  }
  try {
    const seen = await firstOf(signal, [
      (inner) => ended(context, handle, inner),
      (inner) => ready(context, handle, inner),
      (inner) => tooLate(context, inner),
    ])
    await conclude(context, handle, { seen, signal })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof LaunchRefused)) throw error
    await relaunchElsewhere(context, handle, { error, signal })
  }
}

async function conclude(
  context: ActionContext,
  handle: RunnerHandle,
  { seen, signal }: { readonly seen: Seen; readonly signal: AbortSignal },
): Promise<void> {
  const { attempt } = context.row().record
  if (seen.type === 'ready') await context.observe(attempt, { type: 'ready' })
  else if (seen.type === 'late') await giveUp(context, handle, signal)
  else {
    const stolen = await lostItsPort(context, seen.end)
    if (stolen) await relaunchElsewhere(context, handle, { error: stolen, signal })
    else await reportEnd(context, attempt, seen.end)
  }
}

async function ended(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<Seen> {
  return { type: 'end', end: await waitForEnd(context, handle, signal) }
}

async function ready(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<Seen> {
  const { leases, gated, config, record } = context.row()
  const [binding] = leases
  if (binding && gated) {
    await pollUntil(() => persist(context, () => context.driver.listens(handle, binding, signal), { signal }), signal)
    context.parts.view.setListening(record.id, record.attempt)
  }
  if (config.healthChecks.length > 0) await firstPass(context, handle, signal)
  return { type: 'ready' }
}

async function tooLate(context: ActionContext, signal: AbortSignal): Promise<Seen> {
  const { started_at } = context.row().record
  const since = Date.parse(started_at ?? context.row().attemptAt)
  const leftMs = since + context.row().config.readyTimeoutMs - context.parts.clock.now().getTime()
  await delay(Math.max(0, leftMs), undefined, { signal })
  return { type: 'late' }
}

async function giveUp(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  const { stopGraceMs } = context.row().config
  await persist(context, () => context.driver.stop(handle, stopGraceMs, signal), { signal })
  const status = await inspectSurely(context, handle, signal)
  const exit = status.state === 'exited' ? status.exit : null
  await context.observe(attempt, { type: 'not_ready', exit, detail: whyNotReady(context) })
}

function whyNotReady(context: ActionContext): string {
  const { config, leases, record } = context.row()
  const within = `within ready_timeout (${config.readyTimeoutMs / 1000} s)`
  if (!context.parts.view.isListening(record.id, record.attempt) && context.row().gated)
    return `it did not listen on port ${leases[0]?.port} ${within}`
  const last = context.parts.view.probes(record.id).findLast(({ ok }) => !ok)
  return `its health checks did not pass ${within}${last ? `: ${last.detail}` : ''}`
}

/** A script that ended while a stranger holds its port lost the race for it; that is not the cocoon's fault. */
async function lostItsPort(context: ActionContext, { exit }: End): Promise<LaunchRefused | null> {
  const { config, leases } = context.row()
  if (config.runner !== 'script' || exit === null || exit.code === 0) return null
  for (const { host, hostPort } of leases)
    if (!(await isBindable(host, hostPort))) return new LaunchRefused(`port ${hostPort} was taken`, { reason: 'port' })
  return null
}

async function relaunchElsewhere(
  context: ActionContext,
  handle: RunnerHandle,
  { error, signal }: { readonly error: LaunchRefused; readonly signal: AbortSignal },
): Promise<void> {
  const { attempt } = context.row().record
  await persist(context, () => context.driver.remove(handle, { volumes: false }, signal), { signal })
  if (await movePorts(context, error)) return
  const detail = `${error.message}, and it cannot be exchanged`
  await context.observe(attempt, { type: 'not_ready', exit: null, detail })
}
