import { setTimeout as delay } from 'node:timers/promises'

const FIRST_MS = 5
const FACTOR = 1.3
const LIMIT_MS = 200

/**
 * Asks until the answer is yes. The first waits are short, because most workers are ready within a tenth of a second
 * and the wait is part of every spawn; they grow to the 200 ms at which an unready cocoon is probed (design 5).
 *
 * @param longestMs  for an answer that nobody may ever give, a longer wait.
 * @throws AbortError  the signal aborted first.
 */
export async function pollUntil(
  ask: () => Promise<boolean>,
  signal: AbortSignal,
  longestMs: number = LIMIT_MS,
): Promise<void> {
  for (let waitMs = FIRST_MS; !(await ask()); waitMs = Math.min(longestMs, waitMs * FACTOR)) {
    await delay(waitMs, undefined, { signal })
  }
}
