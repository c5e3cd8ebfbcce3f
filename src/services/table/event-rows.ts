import type { DatabaseSync } from 'node:sqlite'

/** The table of events, as the worker sees it. */

export interface NewEventRow {
  readonly at: string
  /** Id of the service it is about; null = Hive itself. */
  readonly service: string | null
  readonly body: string
}

export interface EventRow extends NewEventRow {
  readonly seq: number
}

export interface EventQuery {
  readonly after: number
  readonly limit: number
  /** Only of this service. */
  readonly service: string | null
}

export interface EventPage {
  readonly events: readonly EventRow[]
  /** The oldest that is kept, and the newest there ever was; 0 = none. */
  readonly first: number
  readonly last: number
}

export interface PruneEvents {
  /** ISO time: what is older goes. */
  readonly before: string
  /** At most so many stay. */
  readonly keep: number
}

export interface EventStatements {
  add(events: readonly NewEventRow[]): void
  page(query: EventQuery): EventPage
  prune(what: PruneEvents): void
}

export function prepareEvents(db: DatabaseSync): EventStatements {
  const insert = db.prepare('INSERT INTO events (at, service, body) VALUES (?, ?, ?)')
  const all = db.prepare('SELECT seq, at, service, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?')
  const ofService = db.prepare(
    'SELECT seq, at, service, body FROM events WHERE service = ? AND seq > ? ORDER BY seq LIMIT ?',
  )
  const first = db.prepare('SELECT coalesce(min(seq), 0) AS seq FROM events')
  const last = db.prepare("SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = 'events'")
  const old = db.prepare('DELETE FROM events WHERE at < ?')
  const surplus = db.prepare('DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?')
  return {
    add: (events) => {
      for (const { at, service, body } of events) insert.run(at, service, body)
    },
    page: ({ after, limit, service }) => ({
      events: (service === null
        ? all.all(after, limit)
        : ofService.all(service, after, limit)) as unknown as readonly EventRow[],
      first: Number(first.get()?.['seq']),
      last: Number(last.get()?.['seq']),
    }),
    prune: ({ before, keep }) => {
      old.run(before)
      surplus.run(keep)
    },
  }
}
