import { setTimeout as delay } from 'node:timers/promises'

/** Waits that double up to a limit, with up to a quarter of jitter so that many waiters do not come back together. */
export class Backoff {
  readonly #firstMs: number
  readonly #limitMs: number
  #waits = 0

  constructor(firstMs: number, limitMs: number) {
    this.#firstMs = firstMs
    this.#limitMs = limitMs
  }

  /** Milliseconds of the next wait. */
  next(): number {
    const base = Math.min(this.#limitMs, this.#firstMs * 2 ** Math.min(this.#waits++, 30))
    return base + Math.random() * base * 0.25
  }

  reset(): void {
    this.#waits = 0
  }

  /** @throws AbortError  the signal aborted first. */
  async wait(signal: AbortSignal): Promise<void> {
    await delay(this.next(), undefined, { signal })
  }
}
