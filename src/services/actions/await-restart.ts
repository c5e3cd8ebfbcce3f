import { setTimeout as delay } from 'node:timers/promises'
import type { ActionContext } from '../context.ts'

/** Waits for the time that the record names, then asks for the next attempt. A user's wish comes before it. */
export async function awaitRestart(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { next_attempt_at } = context.row().record
  if (next_attempt_at === null) return
  const leftMs = Date.parse(next_attempt_at) - context.parts.clock.now().getTime()
  await delay(Math.max(0, leftMs), undefined, { signal })
  const { exit, state } = context.row().record
  await context.intend({ desired: 'running', again: true, by: 'restart', reason: exit?.reason ?? state })
}
