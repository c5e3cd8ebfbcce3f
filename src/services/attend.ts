import { setTimeout as delay } from 'node:timers/promises'
import { pollUntil } from '../health/poll.ts'
import { type ExitStatus, LaunchRefused, type RunnerHandle, RunnerUnreachable } from '../runners/driver.ts'
import { Backoff } from './backoff.ts'
import { isBindable } from './bindable.ts'
import type { ActionContext } from './context.ts'
import { canMovePorts, movePorts } from './launch.ts'
import { inspectSurely, persist, say } from './trouble.ts'

/** Two denials by the same engine, this far apart, prove a loss (design 5). */
const PROOF_GAP_MS = 2_000

type Seen =
  | { readonly type: 'end'; readonly exit: ExitStatus | null }
  | { readonly type: 'ready' }
  | { readonly type: 'late' }

/** From launched to ready: whichever comes first of its own listener, its end, and the time limit. */
export async function awaitReady(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { handle, gated, record } = context.row()
  if (handle === null) return
  if (!gated) {
    await context.observe(record.attempt, { type: 'ready' })
    return
  }
  try {
    const seen = await firstOf(signal, [
      (inner) => ended(context, handle, inner),
      (inner) => listening(context, handle, inner),
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

/** A running cocoon: opens its route once its own listener is seen, then waits for its end. */
export async function watch(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { handle, record } = context.row()
  if (handle === null) return
  await greet(context, handle, signal)
  const background = new AbortController()
  const both = AbortSignal.any([signal, background.signal])
  const opening = openRoute(context, handle, both)
  try {
    const exit = await waitForEnd(context, handle, signal)
    await reportEnd(context, { attempt: record.attempt, exit })
  } finally {
    background.abort()
    await opening
  }
}

async function conclude(
  context: ActionContext,
  handle: RunnerHandle,
  { seen, signal }: { readonly seen: Seen; readonly signal: AbortSignal },
): Promise<void> {
  const { attempt } = context.row().record
  if (seen.type === 'ready') {
    context.parts.view.setListening(context.row().record.id, attempt)
    await context.observe(attempt, { type: 'ready' })
  } else if (seen.type === 'end') {
    const stolen = await lostItsPort(context, seen.exit)
    if (stolen && (await relaunchElsewhere(context, handle, { error: stolen, signal }))) return
    await reportEnd(context, { attempt, exit: seen.exit })
  } else if (await listensNow(context, handle, signal)) {
    // The runner was away while the time ran out: that is not the cocoon's fault.
    await conclude(context, handle, { seen: { type: 'ready' }, signal })
  } else {
    await giveUp(context, handle, signal)
  }
}

async function reportEnd(
  context: ActionContext,
  end: { readonly attempt: number; readonly exit: ExitStatus | null },
): Promise<void> {
  const { attempt, exit } = end
  await context.observe(attempt, exit ? { type: 'exited', exit, endedAt: null } : { type: 'gone' })
}

async function ended(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<Seen> {
  return { type: 'end', exit: await waitForEnd(context, handle, signal) }
}

async function listening(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<Seen> {
  await pollUntil(() => listensNow(context, handle, signal), signal)
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
  const { readyTimeoutMs, stopGraceMs } = context.row().config
  await persist(context, () => context.driver.stop(handle, stopGraceMs, signal), { signal })
  const status = await inspectSurely(context, handle, signal)
  const port = context.row().leases[0]?.port
  const detail = `it did not listen on port ${port} within ready_timeout (${readyTimeoutMs / 1000} s)`
  await context.observe(attempt, { type: 'not_ready', exit: status.state === 'exited' ? status.exit : null, detail })
}

/** A script that ended while a stranger holds its port lost the race for it; that is not the cocoon's fault. */
async function lostItsPort(context: ActionContext, exit: ExitStatus | null): Promise<LaunchRefused | null> {
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

/** Says hello to a cocoon that may have been adopted: what the table believes is compared with what is there. */
async function greet(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  const status = await inspectSurely(context, handle, signal)
  if (status.state !== 'running') return
  const { pid, endpoint } = status
  await context.observe(attempt, { type: 'observed', pid, endpoint })
}

/** Never throws but for what is unexpected: without a listener the route just stays closed. */
async function openRoute(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<void> {
  const { view } = context.parts
  const { id, attempt } = context.row().record
  const binding = context.row().leases[0]
  if (!binding || view.isListening(id, attempt)) return
  try {
    await pollUntil(() => context.driver.listens(handle, binding, signal).catch(() => false), signal)
    view.setListening(id, attempt)
  } catch (error) {
    if (!signal.aborted) context.log.error({ err: error }, 'the listener could not be watched')
  }
}

/** The exit, or null when the runner denies the object twice. Waits on through engine trouble. */
async function waitForEnd(
  context: ActionContext,
  handle: RunnerHandle,
  signal: AbortSignal,
): Promise<ExitStatus | null> {
  const backoff = new Backoff(500, 30_000)
  for (;;) {
    try {
      const exit = await context.driver.wait(handle, signal)
      if (exit) return exit
      if (await isProvenGone(context, handle, signal)) return null
      backoff.reset()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RunnerUnreachable)) throw error
      await say(context, error)
      // It may answer everything else and still break off each wait.
      await backoff.wait(signal)
      await greet(context, handle, signal)
    }
  }
}

async function isProvenGone(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<boolean> {
  const first = await inspectSurely(context, handle, signal)
  await delay(PROOF_GAP_MS, undefined, { signal })
  if (first.state !== 'missing') return false
  const second = await inspectSurely(context, handle, signal)
  return second.state === 'missing'
}

/** The first of several to settle; the others are aborted and waited for. */
async function firstOf<Result>(
  signal: AbortSignal,
  contestants: readonly ((signal: AbortSignal) => Promise<Result>)[],
): Promise<Result> {
  const over = new AbortController()
  const inner = AbortSignal.any([signal, over.signal])
  const all = contestants.map((contestant) => contestant(inner))
  try {
    return await Promise.race(all)
  } finally {
    over.abort()
    await Promise.allSettled(all)
  }
}
