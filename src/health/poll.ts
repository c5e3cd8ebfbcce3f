import { setTimeout as delay } from 'node:timers/promises'

const FIRST_MS = 5
const FACTOR = 1.3
const LIMIT_MS = 200

/** For an answer that nobody waits for by the millisecond, or may ever give. */
export interface Pauses {
  readonly firstMs?: number
  readonly longestMs?: number
}

/**
 * Asks until the answer is yes. The first waits are short, because most workers are ready within a tenth of a second
 * and the wait is part of every spawn; they grow to the 200 ms at which an unready cocoon is probed (design 5).
 *
 * @throws AbortError  the signal aborted first.
 */
export async function pollUntil(
  ask: () => Promise<boolean>,
  signal: AbortSignal,
  { firstMs = FIRST_MS, longestMs = LIMIT_MS }: Pauses = {},
): Promise<void> {
  for (let waitMs = firstMs; !(await ask()); waitMs = Math.min(longestMs, waitMs * FACTOR)) {
    await delay(waitMs, undefined, { signal })
  }
}
