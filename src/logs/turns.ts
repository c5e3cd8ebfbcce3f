import { setTimeout as delay } from 'node:timers/promises'

/** Work shorter than this is not worth a pause. */
const FREE_MS = 2
const PAUSE_FACTOR = 3

/** Takes work in turns so that noisy cocoons, however many, together cost at most a quarter of the event loop. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  /** Resolves when it is the caller's turn; the returned function ends the turn. */
  async take(signal: AbortSignal): Promise<() => void> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = before.then(() => promise)
    await before
    const since = performance.now()
    if (signal.aborted) resolve()
    return () => {
      const spent = performance.now() - since
      if (spent < FREE_MS) resolve()
      else void delay(spent * PAUSE_FACTOR).then(resolve)
    }
  }
}
