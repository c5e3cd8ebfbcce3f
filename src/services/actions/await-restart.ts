import { setTimeout as delay } from 'node:timers/promises'
import type { ActionContext } from '../context.ts'
import { longestBackoffMs } from '../state/restart.ts'

/** Waits for the time that the record names, then asks for the next attempt. A user's wish comes before it. */
export async function awaitRestart(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { record: planned, config } = context.row()
  if (planned.next_attempt_at === null) return
  const leftMs = Date.parse(planned.next_attempt_at) - context.parts.clock.now().getTime()
  // A clock that was set back since then must not hold it up for longer than any back-off lasts.
  await delay(Math.min(Math.max(0, leftMs), longestBackoffMs(config.restart)), undefined, { signal })
  const { exit, state } = context.row().record
  await context.intend({ desired: 'running', again: true, by: 'restart', reason: exit?.reason ?? state })
}
