import { RunnerUnreachable } from '../driver.ts'

/** A signal that aborts with another one or when time is up, and lets go of both when released. */
export interface TimeLimit {
  readonly signal: AbortSignal
  /** True if time ran out; an abort by the caller is none. */
  readonly isOver: () => boolean
  readonly release: () => void
}

/** @param ms  null = no limit of its own. */
export function timeLimit(caller: AbortSignal, ms: number | null): TimeLimit {
  const controller = new AbortController()
  let isOver = false
  const onAbort = (): void => controller.abort(caller.reason)
  const timer =
    ms === null
      ? undefined
      : setTimeout(() => {
          isOver = true
          controller.abort(new Error(`no answer within ${ms} ms`))
        }, ms)
  if (caller.aborted) onAbort()
  else caller.addEventListener('abort', onAbort, { once: true })
  const release = (): void => {
    clearTimeout(timer)
    caller.removeEventListener('abort', onAbort)
  }
  return { signal: controller.signal, isOver: () => isOver, release }
}

/** A caller's time that runs out before the engine has answered tells of the engine, and not of what it was asked. */
export async function inTime<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (signal.aborted && isTimeout(signal.reason)) throw new RunnerUnreachable('the engine did not answer in time')
    throw error
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError'
}

/** Waits for something that goes on without its waiter. @throws the signal's reason, if it aborts first. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
