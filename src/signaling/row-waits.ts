import type { ServiceRow } from '../services/state/record.ts'
import type { ServiceView } from '../services/view.ts'

interface Waiter {
  readonly satisfied: (row: ServiceRow) => boolean
  readonly resolve: (row: ServiceRow | null) => void
}

/** Waits for rows with one listener for all of them: a flood of requests must not make each publish slow. */
export class RowWaits {
  readonly #view: ServiceView
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #off: () => void
  #closed = false

  constructor(view: ServiceView) {
    this.#view = view
    this.#off = view.onChange((row) => this.#tell(row))
  }

  /** The first row of this service that satisfies, from now on; null when closed first. */
  until(row: ServiceRow, satisfied: (row: ServiceRow) => boolean): Promise<ServiceRow | null> {
    const { id } = row.record
    const now = this.#view.byId(id) ?? row
    if (satisfied(now)) return Promise.resolve(now)
    if (this.#closed) return Promise.resolve(null)
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(id) ?? new Set()
      this.#waiters.set(id, waiters.add({ satisfied, resolve }))
    })
  }

  close(): void {
    this.#closed = true
    this.#off()
    for (const waiters of this.#waiters.values()) for (const { resolve } of waiters) resolve(null)
    this.#waiters.clear()
  }

  #tell(row: ServiceRow): void {
    const { id } = row.record
    const waiters = this.#waiters.get(id)
    if (!waiters) return
    for (const waiter of waiters) {
      if (!waiter.satisfied(row)) continue
      waiters.delete(waiter)
      waiter.resolve(row)
    }
    if (waiters.size === 0) this.#waiters.delete(id)
  }
}
