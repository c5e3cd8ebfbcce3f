/** What must move on, or be done, in time. */
export interface Timed {
  /** Called again and again to decide whether its time is up. @param nowMs  of the monotonic clock. */
  look(nowMs: number): void
}

/** How late a limit may be noticed, as a share of it, and at most. */
const LATE_SHARE = 0.1
const LATE_MOST_MS = 1_000

/**
 * One timer for everything under way, instead of one or two for each request: a set is cheaper to enter and leave than
 * Node's timer lists, and nothing at all has to be done for a chunk of data but to leave a mark. Limits are noticed up to
 * a tenth late, at most a second.
 */
export class StallClock {
  readonly #timed = new Set<Timed>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | null = null

  /** @param limits  all that are watched by it, in milliseconds. */
  constructor(limits: readonly number[]) {
    this.#everyMs = Math.max(1, Math.min(LATE_MOST_MS, ...limits.map((limit) => limit * LATE_SHARE)))
  }

  add(timed: Timed): void {
    this.#timed.add(timed)
    if (this.#timer !== null) return
    this.#timer = setInterval(this.#look, this.#everyMs)
    this.#timer.unref()
  }

  delete(timed: Timed): void {
    this.#timed.delete(timed)
  }

  readonly #look = (): void => {
    const nowMs = performance.now()
    for (const timed of this.#timed) timed.look(nowMs)
    if (this.#timed.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
