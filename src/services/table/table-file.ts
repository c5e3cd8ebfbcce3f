import { DatabaseSync } from 'node:sqlite'
import { type OpenTable, watchPlace } from './place.ts'
import { migrate, SCHEMA_VERSION } from './table-schema.ts'

/** The two SQLite files of a state directory, `lock.db` and `hive.db`: taking the one, opening and making the other. */

export interface StoredRow {
  readonly id: string
  readonly name: string
  /** 1 while the name is taken, 0 for a tombstone. */
  readonly live: 0 | 1
  readonly requestId: string
  readonly body: string
  readonly sealed: Uint8Array | null
}

/** A small JSON body that must survive a restart, such as a result that is owed: found by its collection and key. */
export interface StoredDocument {
  readonly key: string
  readonly body: string
}

export type RefusalReason = 'locked' | 'lock_damaged' | 'newer' | 'foreign' | 'damaged' | 'missing' | 'unusable'

/** Takes id, name, live, request_id, body, sealed. */
export const WRITE_ROW = `INSERT INTO services (id, name, live, request_id, body, sealed) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, live = excluded.live, body = excluded.body, sealed = excluded.sealed`

// Primary result codes, sqlite.org/rescode.html.
const BUSY = 5
/** CORRUPT, NOTADB */
const DAMAGED: readonly number[] = [11, 26]

const IN_USE = 'another Hive uses this state directory'

/** The files are not to be used as they are. */
export class Refused extends Error {
  readonly reason: RefusalReason
  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** What to say of an error that came up while the files were opened. */
export function describe(error: unknown): { reason: RefusalReason; message: string } {
  if (error instanceof Refused) return { reason: error.reason, message: error.message }
  if (sqliteCode(error) === BUSY) return { reason: 'locked', message: IN_USE }
  return { reason: isDamaged(error) ? 'damaged' : 'unusable', message: messageOf(error) }
}

/**
 * In exclusive locking mode the file lock outlives the transaction that took it, and the kernel drops it with the
 * process, however that dies (sqlite.org/pragma.html#pragma_locking_mode).
 */
export function takeLock(file: string): DatabaseSync {
  const lock = new DatabaseSync(file)
  try {
    lock.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS made (at TEXT); COMMIT')
    return lock
  } catch (error) {
    lock.close()
    if (sqliteCode(error) === BUSY) throw new Refused('locked', IN_USE)
    if (isDamaged(error)) throw new Refused('lock_damaged', `lock.db is damaged: ${messageOf(error)}`)
    throw error
  }
}

/**
 * Opens the table, and locks it like `lock.db`: that file may be removed while a Hive runs, and would then be made and
 * locked by a second one. @throws Refused, or what SQLite says; nothing is left open then.
 */
export function openTable(file: string, lock: DatabaseSync): OpenTable {
  const db = new DatabaseSync(file)
  try {
    // Before the first read: with it the log's index is in memory, and the lock is kept from then on (sqlite.org/wal.html#noshm).
    db.exec('PRAGMA locking_mode=EXCLUSIVE')
    makeReady(db, lock)
    return watchPlace(db)
  } catch (error) {
    db.close()
    throw error
  }
}

function makeReady(db: DatabaseSync, lock: DatabaseSync): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
  assertOurs(db, version)
  db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=2000')
  if (version > SCHEMA_VERSION)
    throw new Refused('newer', `the service table has format ${version}, this Hive knows up to ${SCHEMA_VERSION}`)
  const check = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
  if (check !== 'ok') throw new Refused('damaged', `the service table is damaged: ${String(check)}`)
  // A table that has vanished must not be mistaken for one that never was: every cocoon would be forgotten.
  const made = lock.prepare('SELECT at FROM made').get() !== undefined
  if (version === 0 && made) throw new Refused('missing', 'hive.db is missing or empty, but there has been one')
  migrate(db, version)
  if (!made) lock.prepare('INSERT INTO made VALUES (?)').run(new Date().toISOString())
}

/** Somebody else's database must not get our tables. */
function assertOurs(db: DatabaseSync, version: number): void {
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  const isOurs = version === 0 ? tables.length === 0 : tables.some(({ name }) => name === 'services')
  if (!isOurs) throw new Refused('foreign', 'hive.db is a database of some other program')
}

/** The primary SQLite result code; 0 = some other error. */
function sqliteCode(error: unknown): number {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' ? code & 0xff : 0
}

function isDamaged(error: unknown): boolean {
  return DAMAGED.includes(sqliteCode(error))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
