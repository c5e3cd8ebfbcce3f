import type { DatabaseSync } from 'node:sqlite'
import type { OpenTable } from './place.ts'

export interface TableFailure {
  readonly kind: 'full' | 'failed'
  readonly message: string
  /** The disk refused the commit as a whole: trying its parts one by one would only ask it again. */
  readonly whole: boolean
}

/** SQLITE_FULL, sqlite.org/rescode.html. */
const FULL = 13

/**
 * Runs `work` in one transaction and makes it durable.
 *
 * A commit whose fsync failed may be in the page cache as a whole, and would come back at the next start although it
 * was refused. So the same place in the log is written over at once by a commit that changes nothing: the connection
 * keeps its own idea of where the log ends, while a new one would read the refused commit as a good one. Pages that the
 * kernel counted as clean after the failure are dirtied again by that, too (lwn.net/Articles/752063).
 *
 * @returns null = durable; else why it is not, and nothing of it is in the table.
 */
export function commit(table: OpenTable, work: () => void): TableFailure | null {
  const { db } = table
  let committing = false
  try {
    table.assertInPlace()
    db.exec('BEGIN IMMEDIATE')
    work()
    committing = true
    db.exec('COMMIT')
    return null
  } catch (error) {
    rollBack(db)
    if (committing) prove(table)
    return failureOf(error, committing)
  }
}

/** Makes a commit that changes nothing, and so shows whether the disk takes writes. */
export function prove({ db, assertInPlace }: OpenTable): TableFailure | null {
  try {
    assertInPlace()
    const { user_version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    // Setting it to what it is writes the first page all the same.
    db.exec(`BEGIN IMMEDIATE; PRAGMA user_version = ${user_version}; COMMIT`)
    return null
  } catch (error) {
    rollBack(db)
    return failureOf(error, true)
  }
}

function rollBack(db: DatabaseSync): void {
  if (db.isTransaction) db.exec('ROLLBACK')
}

export function failureOf(error: unknown, committing: boolean): TableFailure {
  const { errcode, message } = error as { readonly errcode?: unknown; readonly message?: unknown }
  const isFull = typeof errcode === 'number' && (errcode & 0xff) === FULL
  return { kind: isFull ? 'full' : 'failed', message: String(message ?? error), whole: committing && !isFull }
}
