import { constants } from 'node:fs'
import { access, readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { describe, openTable, type RefusalReason, takeLock } from '../services/table/table-file.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

const LITTLE_BYTES = 256 * 1024 * 1024

/** The state directory, its disk and its table. Makes nothing that is not there. */
export async function checkState(directory: string): Promise<readonly Finding[]> {
  const found = await stat(directory).catch(() => null)
  if (found === null) return [ok('state', `${directory} does not exist yet: the first start makes it`)]
  if (!found.isDirectory()) return [bad('state', `${directory} is no directory`, 'set HIVE_STATE_DIR to another place')]
  return [
    await checkAccess(directory),
    (found.mode & 0o077) === 0
      ? ok('state', `${directory} is private`)
      : warn('state', `${directory} can be read by others`, `chmod 700 ${directory}`),
    await checkRoom(directory),
    await checkTable(directory),
  ]
}

async function checkAccess(directory: string): Promise<Finding> {
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok('state', `${directory} can be written`)
  } catch {
    return bad('state', `${directory} cannot be written by this user`, 'change its owner, or set HIVE_STATE_DIR')
  }
}

async function checkRoom(directory: string): Promise<Finding> {
  const { bavail, bsize, ffree, files } = await statfs(directory)
  const free = bavail * bsize
  const text = `${Math.floor(free / 1024 / 1024)} MB are free on its disk`
  if (files > 0 && ffree === 0) return bad('disk', 'its disk has no inodes left', 'remove small files there')
  return free < LITTLE_BYTES
    ? warn('disk', text, 'free some space: without any, nothing can be spawned')
    : ok('disk', text)
}

const MENDS: Readonly<Record<RefusalReason, string>> = {
  locked: '',
  newer: 'start the newer Hive, or set HIVE_STATE_DIR',
  foreign: 'set HIVE_STATE_DIR to a directory of its own, or move that file away',
  lock_damaged: 'remove lock.db while no Hive runs here',
  damaged: 'restore hive.db from a backup, or run `hive doctor --rebuild`',
  missing: 'restore hive.db from a backup, or run `hive doctor --rebuild`',
  unusable: 'see that the disk has room and that this user may write there',
}

/** Opens the table as a start would, under the lock, so that it is never looked at while a Hive writes it. */
async function checkTable(directory: string): Promise<Finding> {
  const made = ['lock.db', 'hive.db'].map((name) => stat(join(directory, name)).catch(() => null))
  if ((await Promise.all(made)).every((found) => found === null)) return ok('table', 'there is no service table yet')
  const refused = tryTable(directory)
  if (refused === null) return ok('table', 'the service table is whole')
  const { reason, message } = refused
  return reason === 'locked'
    ? ok('table', `a Hive uses it now${await byWhom(directory)}`)
    : bad('table', message, MENDS[reason])
}

/** What a start would say against the table; null = nothing. */
export function tryTable(directory: string): { readonly reason: RefusalReason; readonly message: string } | null {
  let lock: DatabaseSync | null = null
  try {
    lock = takeLock(join(directory, 'lock.db'))
    openTable(join(directory, 'hive.db'), lock).db.close()
    return null
  } catch (error) {
    return describe(error)
  } finally {
    lock?.close()
  }
}

async function byWhom(directory: string): Promise<string> {
  const instance = await readFile(join(directory, 'instance_id'), 'utf8').catch(() => null)
  return instance === null ? '' : ` (instance ${instance.trim()})`
}
