import { RunnerUnreachable } from '../driver.ts'

const TIMEOUTS_TO_OPEN = 3
const TRIAL_EVERY_MS = 5_000

/**
 * Keeps callers from queueing behind an engine that hangs: after three timeouts in a row calls fail at once, but for
 * one trial every five seconds, until something answers again.
 */
export class Circuit {
  #timeouts = 0
  #nextTrialAt = 0
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @throws RunnerUnreachable  the circuit is open and no trial is due. */
  admit(engine: string): void {
    if (this.#timeouts < TIMEOUTS_TO_OPEN) return
    const now = this.#now()
    if (now < this.#nextTrialAt)
      throw new RunnerUnreachable(`${engine} did not answer ${this.#timeouts} times in a row; it is asked again soon`)
    this.#nextTrialAt = now + TRIAL_EVERY_MS
  }

  answered(): void {
    this.#timeouts = 0
  }

  timedOut(): void {
    this.#timeouts += 1
    this.#nextTrialAt = this.#now() + TRIAL_EVERY_MS
  }
}
