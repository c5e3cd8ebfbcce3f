import { setTimeout as delay } from 'node:timers/promises'

/**
 * Awaits a promise, but never longer than `ms`.
 * @throws Error  naming `what` did not settle in time.
 */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const timer = new AbortController()
  const late = delay(ms, undefined, { signal: timer.signal }).then(
    () => {
      throw new Error(`${what} did not settle within ${ms} ms`)
    },
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
  }
}

/**
 * Polls until the condition gives something truthy, and gives that back.
 * @throws Error  naming `what` when `ms` have passed, with the last error of the condition as its cause.
 */
export async function until<T>(condition: () => T | Promise<T>, ms: number, what: string): Promise<NonNullable<T>> {
  const end = performance.now() + ms
  let cause: unknown
  for (;;) {
    try {
      const answer = await condition()
      if (answer) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > end) throw new Error(`${what} did not happen within ${ms} ms`, { cause })
    await delay(10)
  }
}
