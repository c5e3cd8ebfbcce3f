import { setTimeout as delay } from 'node:timers/promises'
import { type ExitStatus, type RunnerHandle, RunnerUnreachable } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import { Backoff } from './backoff.ts'
import { ASK_AGAIN_MS, inspectSurely, say } from './trouble.ts'

/** Two denials by the same engine, this far apart, prove a loss (design 5). */
const PROOF_GAP_MS = 2_000

/** How a cocoon ended by itself. */
export interface End {
  /** null = the runner denies the object twice. */
  readonly exit: ExitStatus | null
  /** The runner was away meanwhile, so the end may be its doing. */
  readonly uncharged: boolean
}

/** Waits for the end of a cocoon, on through engine trouble, for adopted ones too. */
export async function waitForEnd(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<End> {
  const backoff = new Backoff(500, ASK_AGAIN_MS)
  for (let uncharged = false; ; ) {
    try {
      const exit = await context.driver.wait(handle, signal)
      if (exit) return { exit, uncharged }
      if (await isProvenGone(context, handle, signal)) return { exit: null, uncharged }
      backoff.reset()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RunnerUnreachable)) throw error
      await say(context, error)
      // It may answer everything else and still break off each wait.
      await backoff.wait(signal)
      // What outlived the outage is answerable for itself again.
      uncharged = !(await greet(context, handle, signal))
    }
  }
}

export async function reportEnd(context: ActionContext, attempt: number, end: End): Promise<void> {
  const { exit, uncharged } = end
  const why = { uncharged, rebooted: wasRebooted(context) }
  await context.observe(attempt, exit ? { type: 'exited', exit, endedAt: null, ...why } : { type: 'gone', ...why })
}

/** True if the host has booted since the cocoon was last seen running: then that is what ended it. */
function wasRebooted(context: ActionContext): boolean {
  // A row of an earlier version does not say.
  const boot = context.row().boot ?? null
  const { bootId } = context.parts
  return boot !== null && bootId !== null && boot !== bootId
}

/**
 * Says hello to a cocoon that may have been adopted: what the table believes is compared with what is there.
 * @returns whether it runs.
 */
export async function greet(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<boolean> {
  const { attempt } = context.row().record
  const status = await inspectSurely(context, handle, signal)
  if (status.state !== 'running') return false
  const { pid, endpoint } = status
  await context.observe(attempt, { type: 'observed', pid, endpoint, boot: context.parts.bootId })
  return true
}

async function isProvenGone(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<boolean> {
  const first = await inspectSurely(context, handle, signal)
  await delay(PROOF_GAP_MS, undefined, { signal })
  if (first.state !== 'missing') return false
  const second = await inspectSurely(context, handle, signal)
  return second.state === 'missing'
}
