import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ServiceRow } from '../state/record.ts'
import { decodeRow, encodeRow } from './table.ts'
import { type StoredRow, WRITE_ROW } from './table-file.ts'
import { migrate } from './table-schema.ts'

/** Reads what can still be read of a damaged table, row by row; never throws, never writes. */
export function salvageRows(directory: string): readonly ServiceRow[] {
  const rows: ServiceRow[] = []
  const file = join(directory, 'hive.db')
  if (!existsSync(file)) return rows
  try {
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      const all = db.prepare('SELECT id, name, live, request_id AS requestId, body, sealed FROM services').iterate()
      for (const stored of all) {
        const row = readable(stored as unknown as StoredRow)
        if (row !== null) rows.push(row)
      }
    } finally {
      db.close()
    }
  } catch {
    // From here on nothing can be read; what came before counts.
  }
  return rows
}

/**
 * Puts a table of these rows in the place of the old one, which is moved aside. The caller holds the lock of the
 * directory. Dies at any point = the old one is there, or none and it can be done again.
 *
 * @returns the names of the files that were moved aside.
 */
export async function replaceTable(directory: string, rows: readonly ServiceRow[], stamp: string): Promise<string[]> {
  const fresh = join(directory, `hive.db.rebuilt-${stamp}`)
  const db = new DatabaseSync(fresh)
  try {
    db.exec('PRAGMA synchronous=FULL')
    migrate(db, 0)
    const write = db.prepare(WRITE_ROW)
    db.exec('BEGIN IMMEDIATE')
    for (const { id, name, live, requestId, body, sealed } of rows.map(encodeRow))
      write.run(id, name, live, requestId, body, sealed)
    db.exec('COMMIT')
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

function readable(stored: StoredRow): ServiceRow | null {
  try {
    const row = decodeRow(stored)
    return row.record.id === stored.id ? row : null
  } catch {
    return null
  }
}
