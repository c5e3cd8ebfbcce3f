import { setTimeout as delay } from 'node:timers/promises'

/**
 * Asks again and again, at growing distances, until there is an answer.
 *
 * @param ask      undefined = not yet.
 * @param limitMs  gives up after this and returns undefined.
 * @param longestMs  the longest pause between two questions.
 * @throws the signal's reason when it is aborted.
 */
export async function poll<T>(
  ask: () => T | undefined,
  { limitMs, longestMs, signal }: { limitMs: number; longestMs: number; signal: AbortSignal },
): Promise<T | undefined> {
  const end = performance.now() + limitMs
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 1.1, longestMs)) {
    signal.throwIfAborted()
    const answer = ask()
    if (answer !== undefined || performance.now() >= end) return answer
    await delay(Math.min(pauseMs, Math.max(1, end - performance.now())), undefined, { signal })
  }
}
