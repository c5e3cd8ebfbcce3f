import type { ActivitySink } from '../proxy/target.ts'
import type { ServiceRow } from './state/record.ts'

/**
 * What kept a cocoon alive: its start, proxied data, work of its own, somebody who asked for it or follows its log, or
 * another that uses it.
 */
export type ActivityCause = 'start' | 'request' | 'tunnel' | 'cpu' | 'touch' | 'logs' | 'used'

/** A touch leases for a week at most (schemas-life.ts). */
const LONGEST_LEASE_MS = 604_800_000

export interface LastActivity {
  readonly cause: ActivityCause
  /** Milliseconds of the monotonic clock: a clock that is set must not end anybody. */
  readonly at: number
}

/**
 * When each cocoon with an idle limit was last in use. In memory only: after a restart of Hive every idle clock starts
 * anew, which is later than it would have been, never earlier.
 */
export class Activity {
  readonly #last = new Map<string, LastActivity>()
  /** Requests that wait for the head of their answer: as long as there are any, a cocoon is at work. */
  readonly #open = new Map<string, number>()
  readonly #followers = new Map<string, number>()

  note(id: string, cause: ActivityCause): void {
    this.#last.set(id, { cause, at: performance.now() })
  }

  /** @param ranForMs  how long it has been ready: what was noted since then stays what was last. */
  noteStart(id: string, ranForMs: number): void {
    const last = this.last(id)
    if (last === null || last.at < performance.now() - ranForMs) this.note(id, 'start')
  }

  last(id: string): LastActivity | null {
    return this.#last.get(id) ?? null
  }

  isBusy(id: string): boolean {
    return (this.#open.get(id) ?? 0) > 0
  }

  followers(id: string): number {
    return this.#followers.get(id) ?? 0
  }

  /** Somebody follows its log until the returned function is called. */
  follow(id: string): () => void {
    this.note(id, 'logs')
    add(this.#followers, id, 1)
    return () => {
      if (!this.#followers.has(id)) return // forgotten
      this.note(id, 'logs')
      add(this.#followers, id, -1)
    }
  }

  /** What the proxy reports to. */
  sink(id: string): ActivitySink {
    return {
      note: (cause) => this.note(id, cause),
      begin: () => {
        this.note(id, 'request')
        add(this.#open, id, 1)
      },
      end: () => {
        this.note(id, 'request')
        add(this.#open, id, -1)
      },
    }
  }

  forget(id: string): void {
    this.#last.delete(id)
    this.#open.delete(id)
    this.#followers.delete(id)
  }

  /** Milliseconds until it is stopped as idle; null = it never is. @param now  epoch milliseconds, for the lease. */
  leftMs(row: ServiceRow, now: number): number | null {
    const { state, desired, id } = row.record
    const { idleTimeoutMs } = row.config
    if (idleTimeoutMs === null || state !== 'running' || desired !== 'running') return null
    const leaseMs = row.leaseUntil === null ? 0 : Date.parse(row.leaseUntil) - now
    // Longer than any: the clock was set back since then.
    const lease = leaseMs > LONGEST_LEASE_MS ? 0 : leaseMs
    const isHeld = this.isBusy(id) || this.followers(id) > 0
    const at = isHeld ? performance.now() : (this.last(id)?.at ?? performance.now())
    return Math.max(lease, at + idleTimeoutMs - performance.now())
  }
}

function add(counts: Map<string, number>, id: string, count: 1 | -1): void {
  const now = (counts.get(id) ?? 0) + count
  if (now > 0) counts.set(id, now)
  else counts.delete(id)
}
