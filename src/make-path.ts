import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a directory and those above it that are missing. What is there already, also by a link, is left as it is.
 *
 * Not `mkdir` with `recursive`: where a file system answers ENOENT to every mkdir, as /proc does, Node 24 asks again
 * without end, in a thread that cannot be stopped, and takes more memory each time.
 *
 * @param mode  of what is made, less the umask.
 * @throws the system's error, ENOENT where no directory can be made at all.
 */
export async function makePath(path: string, mode = 0o777): Promise<void> {
  const error = await make(path, mode)
  if (error === null) return
  if (error.code !== 'ENOENT' || dirname(path) === path) throw error
  await makePath(dirname(path), mode)
  const again = await make(path, mode)
  if (again !== null) throw again
}

/** @returns null when the directory is there now. */
async function make(path: string, mode: number): Promise<NodeJS.ErrnoException | null> {
  try {
    await mkdir(path, mode)
    return null
  } catch (error) {
    const found = await stat(path).catch(() => null)
    return found?.isDirectory() ? null : (error as NodeJS.ErrnoException)
  }
}
