import { randomBytes } from 'node:crypto'
import { chmod, link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makePath } from '../../make-path.ts'
import { Secret } from '../../secret.ts'

/** What lies beside the service table, each in its own file of mode 0600, made once and never changed. */
export interface StateDirectory {
  readonly path: string
  /** Owns every label, marker and object name; never HIVE_ID. 16 hex digits. */
  readonly instanceId: string
  readonly masterKey: Buffer
  readonly token: Secret
  /** Where the token can be read, or null when HIVE_TOKEN gives it. */
  readonly tokenFile: string | null
  /** The files that were not there, or empty, and have been made. */
  readonly made: readonly StateFile[]
}

export type StateFile = 'instance_id' | 'key' | 'token'

export interface StateDirectoryOptions {
  readonly path: string
  readonly token: Secret | null
  readonly masterKey: Secret | null
  /** What a lost `instance_id` is written anew with; null or absent = a new one. */
  readonly instanceId?: string | null
}

/** The state directory cannot be used; `message` says what to do. */
export class StateDirectoryError extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StateDirectoryError'
  }
}

/** Makes the state directory (0700). @throws StateDirectoryError */
export async function makeStateDirectory(path: string): Promise<void> {
  try {
    await makePath(path, 0o700)
    await chmod(path, 0o700)
  } catch (cause) {
    const mend = 'set HIVE_STATE_DIR to a place Hive may write'
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    throw new StateDirectoryError(`cannot make the state directory ${path} (${why}): ${mend}`, { cause })
  }
}

/**
 * Makes the state directory and the files in it that do not exist yet. An empty file holds nothing that could be saved: it
 * counts as lost, like one that is not there.
 * @throws StateDirectoryError  it cannot be made, read or understood.
 */
export async function openStateDirectory(options: StateDirectoryOptions): Promise<StateDirectory> {
  const { path } = options
  await makeStateDirectory(path)
  const made: StateFile[] = []
  const fileOf = (name: StateFile, make: () => string, shape: RegExp) => {
    const makeNoted = () => {
      made.push(name)
      return make()
    }
    return once(join(path, name), makeNoted, shape)
  }
  const instanceId = await fileOf('instance_id', () => options.instanceId ?? newInstanceId(), /^[0-9a-f]{16}$/)
  const key = options.masterKey?.reveal() ?? (await fileOf('key', newKey, /^[0-9a-f]{64}$/))
  const tokenFile = options.token ? null : join(path, 'token')
  const token = options.token ?? new Secret(await fileOf('token', newToken, /^[\x21-\x7e]{16,512}$/))
  return { path, instanceId, masterKey: decodeKey(key), token, tokenFile, made }
}

const newInstanceId = () => randomBytes(8).toString('hex')
const KEY_BYTES = 32
const newKey = () => randomBytes(KEY_BYTES).toString('hex')
const newToken = () => randomBytes(32).toString('base64url')

function decodeKey(text: string): Buffer {
  const key = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64')
  // Anything shorter would seal secrets with something that can be guessed.
  if (key.length !== KEY_BYTES) throw new StateDirectoryError('HIVE_MASTER_KEY must be 32 bytes, as hex or base64')
  return key
}

/** Reads a one-line file, making it first if it is missing: written aside, synced, then linked, so it is never half there. */
async function once(file: string, make: () => string, shape: RegExp): Promise<string> {
  const found = await readIfThere(file)
  if (found !== null && found !== '') {
    if (shape.test(found)) return found
    throw new StateDirectoryError(`${file} is damaged: restore it from a backup, or remove it to have a new one made`)
  }
  // A name of its own: in containers two Hives may have one process id.
  const aside = `${file}.${randomBytes(4).toString('hex')}.new`
  try {
    await writeSynced(aside, `${make()}\n`)
    if (found === '') await rename(aside, file)
    else
      await link(aside, file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new StateDirectoryError(`cannot write ${file}`, { cause })
  } finally {
    await rm(aside, { force: true })
  }
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    const text = (await readFile(file, 'utf8')).trim()
    if ((await stat(file)).mode & 0o077) await chmod(file, 0o600)
    return text
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new StateDirectoryError(`cannot read ${file}`, { cause: error })
  }
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
