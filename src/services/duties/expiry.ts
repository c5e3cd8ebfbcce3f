import type { Logger } from 'pino'
import type { Clock } from '../context.ts'
import type { ServiceRow } from '../state/record.ts'

/** Timers of Node take no more (2^31 - 1 ms); what lasts longer is looked at again. */
const LONGEST_MS = 2_147_483_647
const RETRY_MS = 5_000

export interface ExpiryParts {
  readonly clock: Clock
  readonly log: Logger
  /** Asks for the removal; durable when it resolves. */
  readonly remove: (id: string) => Promise<unknown>
}

/** Has every service with a `ttl` removed at its `expires_at`, which stands in the record and so outlives Hive. */
export class Expiry {
  readonly #parts: ExpiryParts
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #closed = false

  constructor(parts: ExpiryParts) {
    this.#parts = parts
  }

  add({ record: { id, expires_at, desired } }: ServiceRow): void {
    if (expires_at === null || desired === 'removed') return
    this.#arm(id, Date.parse(expires_at))
  }

  forget(id: string): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  #arm(id: string, at: number, leastMs = 0): void {
    if (this.#closed) return
    const leftMs = Math.max(leastMs, at - this.#parts.clock.now().getTime())
    const timer = setTimeout(() => this.#due(id, at), Math.min(leftMs, LONGEST_MS))
    timer.unref()
    this.#timers.set(id, timer)
  }

  #due(id: string, at: number): void {
    if (at > this.#parts.clock.now().getTime()) {
      this.#arm(id, at)
      return
    }
    this.#timers.delete(id)
    this.#parts.remove(id).catch((error: unknown) => {
      this.#parts.log.error({ err: error, id, retry_ms: RETRY_MS }, 'it has expired and cannot be removed yet')
      this.#arm(id, at, RETRY_MS)
    })
  }
}
