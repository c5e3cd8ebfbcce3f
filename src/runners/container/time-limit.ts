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
