/** What must move on, or be done, in time. */
export interface Timed {
  /** Where it stands in its clock, which alone sets it; -1 = in none. */
  slot: number
  /** Called again and again to decide whether its time is up. @param nowMs  of the monotonic clock. */
  look(nowMs: number): void
}

/** How late a limit may be noticed, as a share of it, and at most. */
const LATE_SHARE = 0.1
const LATE_MOST_MS = 1_000

/**
 * One timer for everything under way, instead of one or two for each request: a list is cheaper to enter and leave than
 * Node's timer lists, and nothing at all has to be done for a chunk of data but to leave a mark. Limits are noticed up to
 * a tenth late, at most a second.
 *
 * Not a Set: V8 makes a new table for one that is added to and deleted from again and again, and the former ones, as long
 * as nobody collects the old generation, keep all that was in them: half of a busy proxy's young objects were copied.
 */
export class StallClock {
  readonly #timed: Timed[] = []
  readonly #everyMs: number
  #timer: NodeJS.Timeout | null = null

  /** @param limits  all that are watched by it, in milliseconds. */
  constructor(limits: readonly number[]) {
    this.#everyMs = Math.max(1, Math.min(LATE_MOST_MS, ...limits.map((limit) => limit * LATE_SHARE)))
  }

  add(timed: Timed): void {
    timed.slot = this.#timed.push(timed) - 1
    if (this.#timer !== null) return
    this.#timer = setInterval(this.#look, this.#everyMs)
    this.#timer.unref()
  }

  /** The last one takes its place. */
  delete(timed: Timed): void {
    if (timed.slot === -1) return
    const last = this.#timed.pop()
    if (last !== undefined && last !== timed) {
      last.slot = timed.slot
      this.#timed[last.slot] = last
    }
    timed.slot = -1
  }

  readonly #look = (): void => {
    const nowMs = performance.now()
    // From the end: what takes the place of one that leaves meanwhile was looked at before.
    for (let slot = this.#timed.length - 1; slot >= 0; slot--) this.#timed[slot]?.look(nowMs)
    if (this.#timed.length > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
