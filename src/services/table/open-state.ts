import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  makeStateDirectory,
  openStateDirectory,
  type StateDirectory,
  StateDirectoryError,
  type StateDirectoryOptions,
} from './state-directory.ts'
import { openServiceTable, type StateStore, type TableTrouble } from './table.ts'

/** The collection in which the table keeps whose it is. */
export const IDENTITY = 'identity'
export const INSTANCE_ID = 'instance_id'

export interface OpenState {
  readonly state: StateDirectory
  readonly table: StateStore
  /** What was lost and has been mended, in sentences for the log. */
  readonly mended: readonly string[]
}

/**
 * Opens everything in the state directory, the table first: under its lock nobody else makes or mends the files, and it
 * knows the instance that its rows belong to. A table without its identity would disown every cocoon.
 *
 * @throws StateDirectoryError  nothing of it can be used, with what to do.
 */
export async function openState(
  options: StateDirectoryOptions,
  onTrouble?: (trouble: TableTrouble) => void,
): Promise<OpenState> {
  await makeStateDirectory(options.path)
  const table = await openServiceTable(options.path, onTrouble)
  try {
    const remembered = await rememberedId(table)
    if (remembered === null) await assertNotDisowned(options.path, table)
    const state = await openStateDirectory({ ...options, instanceId: remembered })
    if (remembered !== null && remembered !== state.instanceId) throw otherInstance(state, remembered)
    // On a full disk an old table is opened all the same, and remembers at a later start.
    if (remembered === null) await table.putDocument(IDENTITY, INSTANCE_ID, state.instanceId).catch(() => undefined)
    return { state, table, mended: remembered === null ? [] : state.made.map(told) }
  } catch (error) {
    await table.close()
    throw error
  }
}

async function rememberedId(table: StateStore): Promise<string | null> {
  const id = (await table.documents(IDENTITY)).get(INSTANCE_ID)
  return typeof id === 'string' ? id : null
}

/** Tables of Hives before this one do not know whose they are. */
async function assertNotDisowned(path: string, table: StateStore): Promise<void> {
  const file = join(path, INSTANCE_ID)
  const text = await readFile(file, 'utf8').catch(() => '')
  if (text.trim() !== '' || (await table.load()).length === 0) return
  throw new StateDirectoryError(
    `${file} is missing or empty, but there are services: write into it the 16 hex digits that stand as "instance" in <state>/run/<id>/<attempt>/marker.json and in the names of containers, or give Hive a new HIVE_STATE_DIR`,
  )
}

function otherInstance({ path, instanceId }: StateDirectory, remembered: string): StateDirectoryError {
  return new StateDirectoryError(
    `${join(path, INSTANCE_ID)} says ${instanceId}, but the service table belongs to ${remembered}: remove that file to have it written anew, or put the table of ${instanceId} back`,
  )
}

const TOLD = {
  instance_id: 'instance_id was not there: it is written anew from the service table',
  key: 'key was not there: a new one is made, and what the old one sealed cannot be read',
  token: 'token was not there: a new one is made, and clients need it',
}

function told(name: keyof typeof TOLD): string {
  return TOLD[name]
}
