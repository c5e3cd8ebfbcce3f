import { type Measured, type StatsSample, toSample } from './sample.ts'

/** Ten minutes at one every ten seconds. */
const POINTS = 60
/** Services that have ended and whose history is still there to be looked at; the oldest go first. */
const MOST_AT_REST = 1_000

interface Kept {
  readonly samples: StatsSample[]
  last: Measured
}

/** The last samples of each service, in memory: a bounded number of bounded lists. */
export class StatsHistory {
  readonly #kept = new Map<string, Kept>()
  /** In the order in which they ended. */
  readonly #atRest = new Set<string>()

  add(id: string, measured: Measured): void {
    this.#atRest.delete(id)
    const kept = this.#kept.get(id)
    const sample = toSample(measured, kept?.last ?? null)
    if (kept === undefined) {
      this.#kept.set(id, { samples: [sample], last: measured })
      return
    }
    kept.last = measured
    kept.samples.push(sample)
    if (kept.samples.length > POINTS) kept.samples.shift()
  }

  /** Oldest first; of earlier attempts, too. */
  of(id: string): readonly StatsSample[] {
    return this.#kept.get(id)?.samples ?? []
  }

  /** Milliseconds of the monotonic clock of the newest one; null = there is none. */
  lastAt(id: string): number | null {
    return this.#kept.get(id)?.last.clockMs ?? null
  }

  /** The service has ended: its history stays, as long as there is room. */
  rest(id: string): void {
    if (!this.#kept.has(id)) return
    this.#atRest.add(id)
    const [oldest] = this.#atRest
    if (this.#atRest.size > MOST_AT_REST && oldest !== undefined) this.forget(oldest)
  }

  forget(id: string): void {
    this.#kept.delete(id)
    this.#atRest.delete(id)
  }
}
