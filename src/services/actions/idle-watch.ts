import { setTimeout as delay } from 'node:timers/promises'
import { type RunnerHandle, tellsStats } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import { untilAborted } from './first-of.ts'

/** A cocoon that uses more than this share of one processor is at work, asked by anybody or not. */
const BUSY_SHARE = 0.05
const LEAST_PAUSE_MS = 5
const SAMPLES_PER_LIMIT = 4
const MOST_PAUSE_MS = 15_000

/**
 * Resolves when the cocoon has been idle for its `idle_timeout`. By then no request reaches it any more: the decision
 * and the closing of its route are one, so activity just before the deadline is never lost.
 */
export async function idleOver(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<string> {
  const { record, config } = context.row()
  const { view, clock } = context.parts
  const { idleTimeoutMs } = config
  if (idleTimeoutMs === null) return untilAborted(signal)
  view.activity.noteStart(record.id, clock.now().getTime() - Date.parse(record.ready_at ?? record.created_at))
  const isComputing = await cpuMeter(context, handle, signal)
  const mostMs = Math.min(MOST_PAUSE_MS, idleTimeoutMs / SAMPLES_PER_LIMIT)
  for (;;) {
    const leftMs = view.activity.leftMs(context.row(), clock.now().getTime())
    await delay(Math.max(LEAST_PAUSE_MS, Math.min(leftMs ?? mostMs, mostMs)), undefined, { signal })
    if (await isComputing()) view.activity.note(record.id, 'cpu')
    if (context.parts.exposure?.isUsed(record.id)) view.activity.note(record.id, 'used')
    // Nothing is awaited from the look at the clock to the closed route.
    const left = view.activity.leftMs(context.row(), clock.now().getTime())
    if (left === null || left > 0) continue
    view.rest(record.id)
    return `nothing used it for ${idleTimeoutMs / 1000} s`
  }
}

/** Says whether the cocoon computed since it was asked before. What cannot be known keeps nothing alive. */
async function cpuMeter(
  context: ActionContext,
  handle: RunnerHandle,
  signal: AbortSignal,
): Promise<() => Promise<boolean>> {
  const { driver } = context
  if (!tellsStats(driver)) return async () => false
  const read = () =>
    driver.stats(handle, signal).then(
      (usage) => usage?.cpuMs ?? null,
      () => null,
    )
  let before = { at: performance.now(), cpuMs: await read() }
  return async () => {
    const now = { cpuMs: await read(), at: performance.now() }
    const used = now.cpuMs === null || before.cpuMs === null ? 0 : now.cpuMs - before.cpuMs
    const share = used / Math.max(1, now.at - before.at)
    before = now
    return share > BUSY_SHARE
  }
}
