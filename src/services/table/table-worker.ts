import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import {
  type EventPage,
  type EventQuery,
  type EventStatements,
  type NewEventRow,
  type PruneEvents,
  prepareEvents,
} from './event-rows.ts'
import { Displaced, type OpenTable } from './place.ts'
import { commit, failureOf, prove, type TableFailure } from './table-commit.ts'
import {
  describe,
  openTable,
  type RefusalReason,
  type StoredDocument,
  type StoredRow,
  takeLock,
  WRITE_ROW,
} from './table-file.ts'

/**
 * The one thread that touches the service table. Writes that arrive together share one transaction and one fsync
 * (WAL, synchronous=FULL: sqlite.org/pragma.html#pragma_synchronous); each is answered after it.
 */

export type TableRequest =
  /** The events go with the row or not at all. */
  | { readonly call: number; readonly op: 'write'; readonly row: StoredRow; readonly events: readonly NewEventRow[] }
  | { readonly call: number; readonly op: 'addEvents'; readonly events: readonly NewEventRow[] }
  | { readonly call: number; readonly op: 'pruneEvents'; readonly what: PruneEvents }
  | { readonly call: number; readonly op: 'events'; readonly query: EventQuery }
  | {
      readonly call: number
      readonly op: 'putDocument'
      readonly collection: string
      readonly document: StoredDocument
    }
  | { readonly call: number; readonly op: 'dropDocument'; readonly collection: string; readonly key: string }
  | { readonly call: number; readonly op: 'documents'; readonly collection: string }
  | { readonly call: number; readonly op: 'purge'; readonly id: string }
  | { readonly call: number; readonly op: 'load' }
  | { readonly call: number; readonly op: 'prove' }
  | { readonly call: number; readonly op: 'close' }

export interface TableReply {
  readonly call: number
  readonly failure: TableFailure | null
  readonly rows?: readonly StoredRow[]
  readonly documents?: readonly StoredDocument[]
  readonly page?: EventPage
}

export interface TableStarted {
  readonly started: true
  readonly refused: { readonly reason: RefusalReason; readonly message: string } | null
}

/** Without a call: what the worker has seen by itself. */
export interface TableTrouble {
  readonly trouble: string
  /** It will never be well again: another file, and maybe another Hive, has taken its place. */
  readonly isLost: boolean
}

interface Statements {
  readonly write: StatementSync
  readonly purge: StatementSync
  readonly load: StatementSync
  readonly putDocument: StatementSync
  readonly dropDocument: StatementSync
  readonly documents: StatementSync
  readonly events: EventStatements
}

function start({ directory }: { directory: string }): void {
  const port = parentPort
  if (!port) return
  let lock: DatabaseSync | null = null
  try {
    lock = takeLock(join(directory, 'lock.db'))
    const table = openTable(join(directory, 'hive.db'), lock)
    port.postMessage({ started: true, refused: null } satisfies TableStarted)
    serve(table, lock)
    watch(table)
  } catch (error) {
    lock?.close()
    port.postMessage({ started: true, refused: describe(error) } satisfies TableStarted)
  }
}

const LOOK_EVERY_MS = 1_000

/** A Hive that has nothing to write must notice, too, that its table was taken from under it. */
function watch({ assertInPlace }: OpenTable): void {
  let last = ''
  const look = () => {
    try {
      assertInPlace()
      last = ''
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error)
      const isLost = error instanceof Displaced && error.isReplaced
      if (trouble !== last) parentPort?.postMessage({ trouble, isLost } satisfies TableTrouble)
      last = trouble
    }
  }
  const timer = setInterval(look, LOOK_EVERY_MS)
  parentPort?.once('close', () => clearInterval(timer))
}

function serve(table: OpenTable, lock: DatabaseSync): void {
  const { db } = table
  const statements: Statements = {
    write: db.prepare(WRITE_ROW),
    purge: db.prepare('DELETE FROM services WHERE id = ?'),
    load: db.prepare('SELECT id, name, live, request_id AS requestId, body, sealed FROM services'),
    putDocument: db.prepare(`INSERT INTO documents (collection, key, body) VALUES (?, ?, ?)
      ON CONFLICT (collection, key) DO UPDATE SET body = excluded.body`),
    dropDocument: db.prepare('DELETE FROM documents WHERE collection = ? AND key = ?'),
    documents: db.prepare('SELECT key, body FROM documents WHERE collection = ? ORDER BY key'),
    events: prepareEvents(db),
  }
  let waiting: TableRequest[] = []
  parentPort?.on('message', (request: TableRequest) => {
    if (request.op === 'close') {
      commitGroup(table, statements, waiting)
      waiting = []
      return close(db, lock, request.call)
    }
    if (request.op === 'prove') return reply({ call: request.call, failure: prove(table) })
    if (request.op === 'load' || request.op === 'documents' || request.op === 'events')
      return reply(read(statements, request))
    // The whole burst is delivered before the next immediate: that is the group.
    if (waiting.push(request) === 1) {
      setImmediate(() => {
        const group = waiting
        waiting = []
        if (group.length > 0) commitGroup(table, statements, group)
      })
    }
  })
}

/** A page that cannot be read fails what asked for it, and nothing else. */
function read(
  statements: Statements,
  request: Extract<TableRequest, { op: 'load' | 'documents' | 'events' }>,
): TableReply {
  const { call } = request
  try {
    if (request.op === 'events') return { call, failure: null, page: statements.events.page(request.query) }
    if (request.op === 'load')
      return { call, failure: null, rows: statements.load.all() as unknown as readonly StoredRow[] }
    const found = statements.documents.all(request.collection)
    return { call, failure: null, documents: found as unknown as readonly StoredDocument[] }
  } catch (error) {
    return { call, failure: failureOf(error, false) }
  }
}

function commitGroup(table: OpenTable, statements: Statements, group: readonly TableRequest[]): void {
  const failure = transact(table, statements, group)
  if (failure === null || failure.whole || group.length === 1) {
    for (const { call } of group) reply({ call, failure })
    return
  }
  // One bad write must not fail its neighbours: each gets a transaction of its own.
  for (const request of group) reply({ call: request.call, failure: transact(table, statements, [request]) })
}

function transact(table: OpenTable, statements: Statements, group: readonly TableRequest[]): TableFailure | null {
  return commit(table, () => {
    for (const request of group) apply(statements, request)
  })
}

function apply(statements: Statements, request: TableRequest): void {
  switch (request.op) {
    case 'write': {
      const { id, name, live, requestId, body, sealed } = request.row
      statements.write.run(id, name, live, requestId, body, sealed)
      statements.events.add(request.events)
      return
    }
    case 'addEvents':
      statements.events.add(request.events)
      return
    case 'pruneEvents':
      statements.events.prune(request.what)
      return
    case 'purge':
      statements.purge.run(request.id)
      return
    case 'putDocument':
      statements.putDocument.run(request.collection, request.document.key, request.document.body)
      return
    case 'dropDocument':
      statements.dropDocument.run(request.collection, request.key)
  }
}

function close(db: DatabaseSync, lock: DatabaseSync, call: number): void {
  db.close()
  lock.close()
  reply({ call, failure: null })
  parentPort?.close()
}

function reply(message: TableReply): void {
  parentPort?.postMessage(message)
}

// At the very end: classes and constants above exist only once the module has come this far.
if (parentPort) start(workerData as { directory: string })
