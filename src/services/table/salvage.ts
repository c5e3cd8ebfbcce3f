import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ServiceRow } from '../state/record.ts'
import { readAround } from './read-around.ts'
import { decodeRow, encodeRow } from './table.ts'
import { type StoredDocument, type StoredRow, WRITE_ROW } from './table-file.ts'
import { migrate } from './table-schema.ts'

/** A document with the collection it is in. */
export interface KeptDocument extends StoredDocument {
  readonly collection: string
}

export interface Salvage {
  readonly rows: readonly ServiceRow[]
  readonly documents: readonly KeptDocument[]
  /** The number of the newest event there ever was, as far as it can be told. */
  readonly lastEvent: number
}

const NOTHING: Salvage = { rows: [], documents: [], lastEvent: 0 }

/**
 * Reads what can still be read of a damaged table, around the pages that are torn; never throws, never writes.
 * Some may be there more than once.
 */
export function salvage(directory: string): Salvage {
  const file = join(directory, 'hive.db')
  if (!existsSync(file)) return NOTHING
  try {
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      return { rows: rowsOf(db), documents: documentsOf(db), lastEvent: lastEventOf(db) }
    } finally {
      db.close()
    }
  } catch {
    return NOTHING // it cannot even be opened
  }
}

const SERVICES = 'SELECT id, name, live, request_id AS requestId, body, sealed FROM services'

/** By parts, and one by one: an index has all ids, and looked up by itself a row needs only the pages that lead to it. */
function rowsOf(db: DatabaseSync): ServiceRow[] {
  const stored = readAround<StoredRow>(({ from, to, backwards }, take) => {
    const part = db.prepare(`${SERVICES} WHERE id >= ? AND id < ? ORDER BY id ${backwards ? 'DESC' : 'ASC'}`)
    for (const row of part.iterate(from, to)) take(row as unknown as StoredRow)
  })
  const known = new Set(stored.map(({ id }) => id))
  for (const id of indexedIds(db).filter((each) => !known.has(each))) stored.push(...rowFromBothSides(db, id))
  return stored.map(readable).filter((row) => row !== null)
}

/** A row between two pages is come to over the one before or the one behind, of which either may be torn. */
function rowFromBothSides(db: DatabaseSync, id: string): StoredRow[] {
  const sides = ['>= ? ORDER BY id LIMIT 1', '<= ? ORDER BY id DESC LIMIT 1']
  const queries = sides.map((side) => `${SERVICES} WHERE id ${side}`)
  return fromBothEnds<StoredRow>(db, queries, id).filter((row) => row.id === id)
}

function indexedIds(db: DatabaseSync): string[] {
  const all = 'SELECT id FROM services INDEXED BY one_service_per_request ORDER BY request_id'
  return [...new Set(fromBothEnds<{ id: string }>(db, [`${all} ASC`, `${all} DESC`]).map(({ id }) => id))]
}

function documentsOf(db: DatabaseSync): KeptDocument[] {
  const all = 'SELECT collection, key, body FROM documents ORDER BY'
  return fromBothEnds(db, [`${all} collection, key`, `${all} collection DESC, key DESC`])
}

/** Some may be there twice. */
function fromBothEnds<Found>(db: DatabaseSync, queries: readonly string[], ...values: readonly string[]): Found[] {
  const found: Found[] = []
  for (const query of queries)
    try {
      for (const one of db.prepare(query).iterate(...values)) found.push(one as unknown as Found)
    } catch {
      // From here on nothing can be read from this end.
    }
  return found
}

/** Either may be torn. A number that is too high harms nobody; one that comes twice would. */
function lastEventOf(db: DatabaseSync): number {
  const ask = (sql: string) => {
    try {
      return Number(db.prepare(sql).get()?.['seq'] ?? 0)
    } catch {
      return 0
    }
  }
  return Math.max(
    ask("SELECT seq FROM sqlite_sequence WHERE name = 'events'"),
    ask('SELECT seq FROM events ORDER BY seq DESC LIMIT 1'),
  )
}

/**
 * Puts a table of these in the place of the old one, which is moved aside. The caller holds the lock of the
 * directory. Dies at any point = the old one is there, or none and it can be done again.
 *
 * @returns the names of the files that were moved aside.
 */
export async function replaceTable(directory: string, kept: Salvage, stamp: string): Promise<string[]> {
  const fresh = join(directory, `hive.db.rebuilt-${stamp}`)
  const db = new DatabaseSync(fresh)
  try {
    db.exec('PRAGMA synchronous=FULL')
    migrate(db, 0)
    fill(db, kept)
  } finally {
    db.close()
  }
  const aside: string[] = []
  // The log first: left behind, it would be played into the new table.
  for (const name of ['hive.db-wal', 'hive.db-shm', 'hive.db']) {
    if (!existsSync(join(directory, name))) continue
    await rename(join(directory, name), join(directory, `${name}.aside-${stamp}`))
    aside.push(`${name}.aside-${stamp}`)
  }
  await rename(fresh, join(directory, 'hive.db'))
  return aside
}

function fill(db: DatabaseSync, { rows, documents, lastEvent }: Salvage): void {
  const write = db.prepare(WRITE_ROW)
  const put = db.prepare('INSERT OR REPLACE INTO documents (collection, key, body) VALUES (?, ?, ?)')
  db.exec('BEGIN IMMEDIATE')
  for (const { id, name, live, requestId, body, sealed } of rows.map(encodeRow))
    write.run(id, name, live, requestId, body, sealed)
  for (const { collection, key, body } of documents) put.run(collection, key, body)
  db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)").run(lastEvent)
  db.exec('COMMIT')
}

function readable(stored: StoredRow): ServiceRow | null {
  try {
    const row = decodeRow(stored)
    return row.record.id === stored.id ? row : null
  } catch {
    return null
  }
}
