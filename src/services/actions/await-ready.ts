import { setTimeout as delay } from 'node:timers/promises'
import { pollUntil } from '../../health/poll.ts'
import { LaunchRefused, type RunnerHandle } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import { isBindable } from './bindable.ts'
import { type End, reportEnd, waitForEnd } from './end.ts'
import { firstOf } from './first-of.ts'
import { firstPass } from './health-watch.ts'
import { canMovePorts, movePorts } from './launch.ts'
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
    if (await relaunchElsewhere(context, handle, { error, signal })) return
    const { stopGraceMs } = context.row().config
    await persist(context, () => context.driver.stop(handle, stopGraceMs, signal), { signal })
    const detail = `${error.message}, and it cannot be exchanged`
    await context.observe(record.attempt, { type: 'not_ready', exit: null, detail })
  }
}

async function conclude(
  context: ActionContext,
  handle: RunnerHandle,
  { seen, signal }: { readonly seen: Seen; readonly signal: AbortSignal },
): Promise<void> {
  const { attempt } = context.row().record
  if (seen.type === 'ready') {
    await context.observe(attempt, { type: 'ready' })
  } else if (seen.type === 'end') {
    const stolen = await lostItsPort(context, seen.end)
    if (stolen && (await relaunchElsewhere(context, handle, { error: stolen, signal }))) return
    await reportEnd(context, attempt, seen.end)
  } else if (context.row().config.healthChecks.length === 0 && (await listensNow(context, handle, signal))) {
    // The runner was away while the time ran out: that is not the cocoon's fault.
    context.parts.view.setListening(context.row().record.id, attempt)
    await context.observe(attempt, { type: 'ready' })
  } else {
    await giveUp(context, handle, signal)
  }
}

async function ended(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<Seen> {
  return { type: 'end', end: await waitForEnd(context, handle, signal) }
}

async function ready(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<Seen> {
  const { gated, config, record } = context.row()
  if (gated) {
    await pollUntil(() => listensNow(context, handle, signal), signal)
    context.parts.view.setListening(record.id, record.attempt)
  }
  if (config.healthChecks.length > 0) await firstPass(context, handle, signal)
  return { type: 'ready' }
}

async function listensNow(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<boolean> {
  const binding = context.row().leases[0]
  return !binding || persist(context, () => context.driver.listens(handle, binding, signal), { signal })
}

/** No clock is asked: an engine's may differ from Hive's. After a restart of Hive the time begins anew. */
async function tooLate(context: ActionContext, signal: AbortSignal): Promise<Seen> {
  await delay(context.row().config.readyTimeoutMs, undefined, { signal })
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

const WHERE_TO_LISTEN = {
  script: 'it must listen on the port in its variable PORT',
  container: 'it must listen on 0.0.0.0, not on its own loopback alone',
} as const

function whyNotReady(context: ActionContext): string {
  const { config, leases, record } = context.row()
  const within = `within ready_timeout (${config.readyTimeoutMs / 1000} s)`
  if (!context.parts.view.isListening(record.id, record.attempt) && context.row().gated)
    return `it did not listen on port ${leases[0]?.port} ${within}: ${WHERE_TO_LISTEN[config.runner === 'script' ? 'script' : 'container']}`
  const last = context.parts.view.transcript.of(record.id).findLast(({ ok }) => !ok)
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
): Promise<boolean> {
  if (!canMovePorts(context, error)) return false
  // As it is, a second start of this attempt would only adopt it.
  await context.parts.drainLog(context.row())
  await persist(context, () => context.driver.remove(handle, { volumes: false }, signal), { signal })
  return movePorts(context, error)
}
