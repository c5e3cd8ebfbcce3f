import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'

/** The table's file is not where it was: what would be written now, nobody would find again. */
export class Displaced extends Error {
  /** Another file is in its place, and maybe another Hive that writes it: this one must not go on. */
  readonly isReplaced: boolean

  constructor(message: string, isReplaced: boolean) {
    super(message)
    this.isReplaced = isReplaced
  }
}

/** An open table, and where its files were when it was opened. SQLite itself does not look again. */
export interface OpenTable {
  readonly db: DatabaseSync
  /** Looks whether they are still there; a log that is not is made anew. @throws Displaced, or what SQLite says. */
  readonly assertInPlace: () => void
}

/** @param db  Open in exclusive locking mode, with a log. */
export function watchPlace(db: DatabaseSync, file: string): OpenTable {
  const table = fileAt(file)
  let log = fileAt(`${file}-wal`)
  const assertInPlace = () => {
    const found = fileAt(file)
    if (found === null) throw new Displaced('hive.db was moved or removed while Hive runs: put it back', false)
    if (found !== table) throw new Displaced('hive.db was replaced by another file while Hive runs', true)
    if (fileAt(`${file}-wal`) === log) return
    // What is in the log would be gone with this process. Leaving the mode writes all of it into the table; the next read
    // makes the new log.
    db.exec('PRAGMA journal_mode=DELETE; PRAGMA journal_mode=WAL; SELECT count(*) FROM sqlite_schema')
    log = fileAt(`${file}-wal`)
  }
  return { db, assertInPlace }
}

/** What tells a file from any other; null = there is none. Numbers of inodes alone repeat on another disk. */
function fileAt(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? null : `${found.dev}:${found.ino}`
}
