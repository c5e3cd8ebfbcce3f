import type { ServiceProgress, ServiceRow } from '../services/state/record.ts'
import type { EventPage, NewEventRow } from '../services/table/event-rows.ts'
import type { EventStore, ServiceTable } from '../services/table/table.ts'
import { configEvent, eventsOfChange, type HiveEvent, pullEvent, signalingEvent } from './event.ts'

export interface EventFeedOptions {
  readonly store: EventStore
  readonly now: () => Date
  /** Says that events which hang on no row could not be kept. */
  readonly warn: (error: unknown) => void
}

/** A pull says how far it is at most this often. */
const PULL_EVERY_MS = 1_000
/** Forgetting when a pull spoke last costs one event too many. */
const MAX_PULLS = 1_000
const KEEP_EVENTS = 100_000
const KEEP_MS = 7 * 24 * 60 * 60 * 1000
const PAGE = 200

export interface FeedPage {
  readonly events: readonly HiveEvent[]
  readonly first: number
  readonly last: number
}

/** Keeps what happens, in order, and wakes those who wait for more. Readers read from the disk at their own pace. */
export class EventFeed {
  readonly #options: EventFeedOptions
  readonly #listeners = new Set<() => void>()
  readonly #pulls = new Map<string, number>()

  constructor(options: EventFeedOptions) {
    this.#options = options
  }

  /**
   * The same table, whose writes carry what they mean along.
   * @param known   The row as it was, null = new.
   * @param purged  Drops what else is kept of a service whose tombstone goes.
   */
  recording(
    table: ServiceTable,
    known: (id: string) => ServiceRow | null,
    purged: (id: string) => Promise<void>,
  ): ServiceTable {
    return {
      load: () => table.load(),
      write: async (row) => {
        const events = eventsOfChange(known(row.record.id), row, this.#now())
        await table.write(row, events)
        if (events.length > 0) this.#wake()
      },
      purge: async (id) => {
        await table.purge(id)
        await purged(id)
      },
      putDocument: (collection, key, body) => table.putDocument(collection, key, body),
      dropDocument: (collection, key) => table.dropDocument(collection, key),
      documents: (collection) => table.documents(collection),
      get healthy() {
        return table.healthy
      },
      close: () => table.close(),
    }
  }

  pull(row: ServiceRow, progress: ServiceProgress): void {
    const now = this.#options.now().getTime()
    const { id } = row.record
    if (progress.phase !== 'pull' || now - (this.#pulls.get(id) ?? 0) < PULL_EVERY_MS) return
    if (this.#pulls.size > MAX_PULLS) this.#pulls.clear()
    this.#pulls.set(id, now)
    this.#add([pullEvent(row, progress, this.#now())])
  }

  config(warnings: readonly string[]): void {
    if (warnings.length > 0) this.#add(warnings.map((warning) => configEvent(warning, this.#now())))
  }

  signaling(state: string): void {
    this.#add([signalingEvent(state, this.#now())])
  }

  /** The next events after `seq`, and between which numbers there are any. */
  async after(seq: number, service: string | null = null): Promise<FeedPage> {
    return decodePage(await this.#options.store.events({ after: seq, limit: PAGE, service }))
  }

  /** Drops what is old or too much. */
  async prune(): Promise<void> {
    const before = new Date(this.#options.now().getTime() - KEEP_MS).toISOString()
    await this.#options.store.pruneEvents({ before, keep: KEEP_EVENTS })
  }

  onEvent(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  #add(events: readonly NewEventRow[]): void {
    this.#options.store.addEvents(events).then(
      () => this.#wake(),
      (error: unknown) => this.#options.warn(error),
    )
  }

  #wake(): void {
    for (const listener of this.#listeners) listener()
  }

  #now(): string {
    return this.#options.now().toISOString()
  }
}

function decodePage({ events, first, last }: EventPage): FeedPage {
  return {
    events: events.map(({ seq, at, body }) => ({ seq, at, ...(JSON.parse(body) as Omit<HiveEvent, 'seq' | 'at'>) })),
    first,
    last,
  }
}
