import { setTimeout as delay } from 'node:timers/promises'
import { type RunnerDriver, type RunnerHandle, tellsStats } from '../runners/driver.ts'
import type { StatsSample } from './sample.ts'
import { StatsHistory } from './stats-history.ts'

/** One cocoon that may be measured now. */
export interface StatsSubject {
  readonly id: string
  readonly attempt: number
  readonly driver: RunnerDriver
  readonly handle: RunnerHandle
}

export interface StatsParts {
  /** All cocoons that run. */
  readonly subjects: () => Iterable<StatsSubject>
  /** True as long as this attempt of a service runs. */
  readonly runs: (id: string, attempt: number) => boolean
  readonly now: () => Date
  /** Milliseconds from one sample of a cocoon to the next; for tests. */
  readonly intervalMs?: number
}

export const STATS_INTERVAL_MS = 10_000
const DEADLINE_MS = 5_000
/** Of one runner at the same time: what is beyond is left out of this round, never queued. */
const MOST_AT_ONCE = 8
/** A sample that is older says nothing about now. */
const MOST_INTERVALS = 3

/**
 * Measures every running cocoon once per interval, one after the other over the whole of it, so that neither Hive nor
 * an engine has all of them at once. A runner that does not answer costs samples, and nothing else.
 */
export class StatsKeeper {
  readonly intervalMs: number
  /** How often every running cocoon has had its turn. */
  rounds: number = 0
  readonly #parts: StatsParts
  readonly #history = new StatsHistory()
  readonly #stop = new AbortController()
  readonly #inFlight = new Map<string, number>()
  readonly #busy = new Set<string>()
  #loop: Promise<void> | null = null

  constructor(parts: StatsParts) {
    this.#parts = parts
    this.intervalMs = parts.intervalMs ?? STATS_INTERVAL_MS
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Oldest first, of earlier attempts, too. */
  history(id: string): readonly StatsSample[] {
    return this.#history.of(id)
  }

  /** What it uses now; null = it does not run, or has not answered for a while. */
  current(id: string, attempt: number): StatsSample | null {
    const last = this.last(id, attempt)
    const ageMs = performance.now() - (this.#history.lastAt(id) ?? Number.NEGATIVE_INFINITY)
    return this.#parts.runs(id, attempt) && ageMs < MOST_INTERVALS * this.intervalMs ? last : null
  }

  /** The last sample of this attempt; null = there is none. */
  last(id: string, attempt: number): StatsSample | null {
    const last = this.#history.of(id).at(-1)
    return last?.attempt === attempt ? last : null
  }

  rest(id: string): void {
    this.#history.rest(id)
  }

  forget(id: string): void {
    this.#history.forget(id)
  }

  /** Takes one sample now, unless its runner has enough to do. Never throws. */
  async measure({ id, attempt, driver, handle }: StatsSubject): Promise<void> {
    const waiting = this.#inFlight.get(driver.type) ?? 0
    if (!tellsStats(driver) || waiting >= MOST_AT_ONCE || this.#busy.has(id) || this.#stop.signal.aborted) return
    this.#inFlight.set(driver.type, waiting + 1)
    this.#busy.add(id)
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(DEADLINE_MS)])
      const usage = await driver.stats(handle, signal)
      // What ended, or was started anew meanwhile, is not what was asked about.
      if (usage === null || !this.#parts.runs(id, attempt)) return
      this.#history.add(id, { usage, attempt, at: this.#parts.now().toISOString(), clockMs: performance.now() })
    } catch {
      // The runner does not answer: the record says so already, and there is no sample.
    } finally {
      this.#busy.delete(id)
      this.#inFlight.set(driver.type, (this.#inFlight.get(driver.type) ?? 1) - 1)
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('Hive is shutting down'))
    await this.#loop
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const pause = (ms: number) => delay(ms, undefined, { signal, ref: false }).catch(() => undefined)
    while (!signal.aborted) {
      const subjects = [...this.#parts.subjects()]
      if (subjects.length === 0) await pause(this.intervalMs)
      for (const subject of subjects) {
        await pause(this.intervalMs / subjects.length)
        if (this.#parts.runs(subject.id, subject.attempt)) void this.measure(subject)
      }
      this.rounds += 1
    }
  }
}
