import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'
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
export function watchPlace(db: DatabaseSync): OpenTable {
  const file = db.location() ?? ''
  const table = fileAt(file)
  let log = fileAt(`${file}-wal`)
  let saved: string | null = null
  const assertInPlace = () => {
    const found = fileAt(file)
    if (found === null) {
      if (saved === null && isDeleted(file)) saved = trySave(db, file)
      throw new Displaced(
        saved === null ? MOVED : `${DELETED} ${saved}: stop Hive, rename that to hive.db, start it`,
        false,
      )
    }
    if (found !== table) throw new Displaced('hive.db was replaced by another file while Hive runs', true)
    if (fileAt(`${file}-wal`) === log) return
    // What is in the log would be gone with this process. Leaving the mode writes all of it into the table; the next read
    // makes the new log.
    db.exec('PRAGMA journal_mode=DELETE; PRAGMA journal_mode=WAL; SELECT count(*) FROM sqlite_schema')
    log = fileAt(`${file}-wal`)
  }
  return { db, assertInPlace }
}

const MOVED = 'hive.db was moved or removed while Hive runs: put it back'
const DELETED = 'hive.db was deleted while Hive runs; what it held is in'

/** Its name is gone, not only elsewhere: it lives as long as this process (proc(5), "/proc/pid/fd"). */
function isDeleted(file: string): boolean {
  try {
    return readdirSync('/proc/self/fd').some((fd) => linkOf(`/proc/self/fd/${fd}`) === `${file} (deleted)`)
  } catch {
    return false // not on Linux: then nothing is known
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null // closed meanwhile
  }
}

/** @returns the name of the copy; null = it cannot be made, as when the directory is gone, too. */
function trySave(db: DatabaseSync, file: string): string | null {
  const copy = `${file}.saved-${Date.now()}`
  try {
    // The log that stays behind, should Hive be killed, must not be played into the copy.
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    db.prepare('VACUUM INTO ?').run(copy)
    return basename(copy)
  } catch {
    return null
  }
}

/** What tells a file from any other; null = there is none. Numbers of inodes alone repeat on another disk. */
function fileAt(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? null : `${found.dev}:${found.ino}`
}
