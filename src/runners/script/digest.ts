import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { LaunchRefused } from '../driver.ts'

const SHOWN_DIGITS = 12

/** A program whose content was checked, to be executed through its open file: whatever its path means by then. */
export interface CheckedProgram {
  readonly fd: number
  /** @throws LaunchRefused  it was written to since it was read. */
  verifyUnchanged(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens a program and compares its SHA-256.
 * @throws LaunchRefused  it has another digest (the message names the beginning of both) or cannot be read.
 */
export async function openChecked(path: string, sha256: string, signal: AbortSignal): Promise<CheckedProgram> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new LaunchRefused(`The command "${path}" cannot be read to check its sha256 (${error.code})`)
  })
  try {
    const before = await stampOf(file)
    const found = await digestOf(file, signal)
    const expected = sha256.toLowerCase()
    if (found !== expected) throw new LaunchRefused(mismatch(path, expected, found))
    const verifyUnchanged = async () => {
      if ((await stampOf(file)) === before) return
      throw new LaunchRefused(`The command "${path}" was changed while it was being launched`)
    }
    await verifyUnchanged()
    return { fd: file.fd, verifyUnchanged, close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

function mismatch(path: string, expected: string, found: string): string {
  const [wanted, got] = [expected, found].map((digest) => `${digest.slice(0, SHOWN_DIGITS)}…`)
  return `The command "${path}" has the sha256 ${got}, but the kind asks for ${wanted}: put the right program there, or correct sha256`
}

async function digestOf(file: FileHandle, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of file.createReadStream({ start: 0, autoClose: false, signal })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Any write changes the ctime, which nobody can set back (inode(7)). */
async function stampOf(file: FileHandle): Promise<string> {
  const { ino, size, ctimeNs } = await file.stat({ bigint: true })
  return `${ino} ${size} ${ctimeNs}`
}
