import { Worker } from 'node:worker_threads'
import { HiveError } from '../../errors.ts'
import type { ServiceRow } from '../state/record.ts'
import type { EventPage, EventQuery, NewEventRow, PruneEvents } from './event-rows.ts'
import { StateDirectoryError } from './state-directory.ts'
import type { TableFailure } from './table-commit.ts'
import type { RefusalReason, StoredRow } from './table-file.ts'
import type { TableReply, TableRequest, TableStarted, TableTrouble } from './table-worker.ts'

export type { TableTrouble } from './table-worker.ts'

/** Small JSON bodies that must survive a restart, in the same file and under the same rules as the rows. */
export interface DocumentStore {
  /** Keeps a body under its collection and key, in place of an older one. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL */
  putDocument(collection: string, key: string, body: unknown): Promise<void>
  /** Fine if there is none. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL */
  dropDocument(collection: string, key: string): Promise<void>
  /** Everything of a collection that is on the disk, by key. A put under way may not be in it yet. */
  documents(collection: string): Promise<ReadonlyMap<string, unknown>>
}

/** The service table on disk: one worker thread, one writer. A promise that resolves means the row is on the disk. */
export interface ServiceTable extends DocumentStore {
  /** @throws StateDirectoryError  a row cannot be read. */
  load(): Promise<readonly ServiceRow[]>
  /** Both or neither. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL  nothing was written. */
  write(row: ServiceRow, events?: readonly NewEventRow[]): Promise<void>
  purge(id: string): Promise<void>
  /** True until a write fails; true again after one that succeeds. The disk is tried regularly until then. */
  readonly healthy: boolean
  close(): Promise<void>
}

/** Events in the order in which they became durable. */
export interface EventStore {
  /** @throws HIVE_STORE_FAILED, HIVE_STORE_FULL */
  addEvents(events: readonly NewEventRow[]): Promise<void>
  events(query: EventQuery): Promise<EventPage>
  pruneEvents(what: PruneEvents): Promise<void>
}

/** Everything that is kept in the state directory's database. */
export interface StateStore extends ServiceTable, DocumentStore, EventStore {}

type WithoutCall<Request> = Request extends unknown ? Omit<Request, 'call'> : never
type Call = WithoutCall<TableRequest>

interface Waiting {
  readonly resolve: (reply: TableReply) => void
  readonly reject: (error: Error) => void
}

/**
 * Opens (or makes) the table in a state directory and takes its lock.
 * @param onTrouble  told once each time the files are found not to be in their place any more.
 * @throws StateDirectoryError  locked by another Hive, damaged, or written by a newer one.
 */
export async function openServiceTable(
  directory: string,
  onTrouble: (trouble: TableTrouble) => void = () => {},
): Promise<StateStore> {
  // The ending follows this file's own: .ts from the sources, .js from dist/.
  const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  const worker = new Worker(new URL(`./table-worker${ending}`, import.meta.url), { workerData: { directory } })
  await started(worker, directory)
  return new WorkerTable(worker, onTrouble)
}

function started(worker: Worker, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', ({ refused }: TableStarted) => {
      worker.off('error', reject)
      if (!refused) return resolve()
      void worker.terminate()
      reject(new StateDirectoryError(`${directory}: ${refused.message}. ${ADVICE[refused.reason]}`))
    })
  })
}

const ADVICE = {
  locked: 'Stop the other Hive, or give this one its own HIVE_STATE_DIR.',
  newer: 'Start the newer Hive again, or give this one its own HIVE_STATE_DIR.',
  foreign: 'Give Hive a state directory of its own, or move that file away.',
  lock_damaged: 'It holds nothing of value: remove it while no Hive runs here.',
  damaged: 'Restore hive.db from a backup, or run `hive doctor --rebuild`, which re-makes it from what runs.',
  missing: 'Restore hive.db from a backup, run `hive doctor --rebuild`, or remove lock.db to begin anew.',
  unusable: 'See that the disk has room and that Hive may write there.',
} as const satisfies Record<RefusalReason, string>

/** How often a disk that failed is tried again. */
const PROVE_EVERY_MS = 1_000

class WorkerTable implements StateStore {
  #healthy = true
  #proving: NodeJS.Timeout | null = null
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  /** Asked to close: from then on the end of the worker is no loss, and may be told in one breath with its answer. */
  #closing = false
  #closed = false

  constructor(worker: Worker, onTrouble: (trouble: TableTrouble) => void) {
    this.#worker = worker
    worker.on('message', (message: TableReply | TableTrouble) => {
      if ('call' in message) return this.#settle(message)
      this.#note(false)
      onTrouble(message)
    })
    // Its locks are gone with it: another Hive may come at any moment.
    const lose = (error: Error) => {
      if (!this.#closing && !this.#closed)
        onTrouble({ trouble: `the service table has failed (${error.message})`, isLost: true })
      this.#fail(error)
    }
    worker.on('error', lose)
    worker.on('exit', () => lose(new Error('its worker has ended')))
  }

  get healthy(): boolean {
    return this.#healthy
  }

  async load(): Promise<readonly ServiceRow[]> {
    const { rows = [] } = await this.#call({ op: 'load' })
    return rows.map(decodeRow)
  }

  async write(row: ServiceRow, events: readonly NewEventRow[] = []): Promise<void> {
    await this.#call({ op: 'write', row: encodeRow(row), events })
  }

  async addEvents(events: readonly NewEventRow[]): Promise<void> {
    await this.#call({ op: 'addEvents', events })
  }

  async events(query: EventQuery): Promise<EventPage> {
    const { page = { events: [], first: 0, last: 0 } } = await this.#call({ op: 'events', query })
    return page
  }

  async pruneEvents(what: PruneEvents): Promise<void> {
    await this.#call({ op: 'pruneEvents', what })
  }

  async purge(id: string): Promise<void> {
    await this.#call({ op: 'purge', id })
  }

  async putDocument(collection: string, key: string, body: unknown): Promise<void> {
    await this.#call({ op: 'putDocument', collection, document: { key, body: JSON.stringify(body) } })
  }

  async dropDocument(collection: string, key: string): Promise<void> {
    await this.#call({ op: 'dropDocument', collection, key })
  }

  async documents(collection: string): Promise<ReadonlyMap<string, unknown>> {
    const { documents = [] } = await this.#call({ op: 'documents', collection })
    return new Map(documents.map(({ key, body }) => [key, JSON.parse(body) as unknown]))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closing = true
    await this.#call({ op: 'close' }).catch(() => undefined) // a dead worker is closed, too
    this.#closed = true
    if (this.#proving) clearTimeout(this.#proving)
    await this.#worker.terminate()
  }

  async #call(request: Call): Promise<TableReply> {
    if (this.#closed) throw new HiveError('HIVE_STORE_FAILED', 'the service table is closed')
    const call = ++this.#calls
    const reply = await new Promise<TableReply>((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject })
      this.#worker.postMessage({ call, ...request } as TableRequest)
    })
    this.#note(reply.failure === null)
    if (reply.failure) throw storeError(reply.failure)
    return reply
  }

  /** Without a write nobody would notice that the disk is well again. */
  #note(healthy: boolean): void {
    this.#healthy = healthy
    if (healthy || this.#closed || this.#proving) return
    this.#proving = setTimeout(() => {
      this.#proving = null
      // Its outcome is noted like any other; closed meanwhile = nothing to prove.
      this.#call({ op: 'prove' }).catch(() => undefined)
    }, PROVE_EVERY_MS)
    this.#proving.unref()
  }

  #settle(reply: TableReply): void {
    const waiting = this.#waiting.get(reply.call)
    this.#waiting.delete(reply.call)
    waiting?.resolve(reply)
  }

  #fail(cause: Error): void {
    this.#healthy = false
    for (const waiting of this.#waiting.values())
      waiting.reject(new HiveError('HIVE_STORE_FAILED', 'the service table has failed: restart Hive', { cause }))
    this.#waiting.clear()
    this.#closed = true
  }
}

function storeError(failure: TableFailure): HiveError {
  const cause = new Error(failure.message)
  if (failure.kind === 'full')
    return new HiveError('HIVE_STORE_FULL', 'free some space on the disk of the state directory', { cause })
  return new HiveError('HIVE_STORE_FAILED', 'the state directory cannot be written: see the log', { cause })
}

export function encodeRow(row: ServiceRow): StoredRow {
  const { sealed, ...plain } = row
  const { id, name, request_id, state } = row.record
  return { id, name, live: state === 'removed' ? 0 : 1, requestId: request_id, body: JSON.stringify(plain), sealed }
}

export function decodeRow(stored: StoredRow): ServiceRow {
  try {
    return { ...(JSON.parse(stored.body) as Omit<ServiceRow, 'sealed'>), sealed: stored.sealed }
  } catch (cause) {
    throw new StateDirectoryError(`service ${stored.id} cannot be read. ${ADVICE.damaged}`, { cause })
  }
}
