import { constants } from 'node:fs'
import { access, chown, type FileHandle, mkdir, open, readlink, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize } from 'node:path'
import { makePath } from '../../make-path.ts'
import { LaunchRefused, type LaunchSpec } from '../driver.ts'

/** O_PATH of open(2): a handle that only names a directory; Node has no constant for it. */
const O_PATH = 0o10000000

export interface WorkingDirectory {
  /** The real path, free of symbolic links. */
  readonly path: string
  /** A name of the very directory that was checked, whatever happens to the path meanwhile; valid until `close`. */
  readonly pinned: string
  close(): Promise<void>
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface WorkingDirectoryPlan {
  /** May hold symbolic links: the operator wrote it. */
  readonly base: string
  /** The names below it, where a link could have been planted by a cocoon. */
  readonly below: readonly string[]
}

/**
 * Which directory an attempt works in: the operator's own, split before the first name that a placeholder filled, or
 * `<workRoot>/<id>`.
 * @throws LaunchRefused  not absolute, or with `..` in it.
 */
export function planWorkingDirectory(
  spec: LaunchSpec,
  workingDir: string | null,
  workRoot: string,
): WorkingDirectoryPlan {
  if (workingDir === null) return { base: workRoot, below: [spec.id] }
  if (!isAbsolute(workingDir)) throw new LaunchRefused(`The working directory "${workingDir}" is not an absolute path`)
  const names = workingDir.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) throw new LaunchRefused(`The working directory "${workingDir}" must not hold ".."`)
  const filled = [spec.name, spec.requestId, spec.id, spec.kind].filter((value) => value !== '')
  const first = names.findIndex((name) => filled.some((value) => name.includes(value)))
  const cut = first < 0 ? names.length : first
  return { base: normalize(`/${names.slice(0, cut).join('/')}`), below: names.slice(cut) }
}

/**
 * Makes the directory where it is missing and opens it, refusing every symbolic link below the base.
 *
 * Each step goes through the handle of the one before (`/proc/self/fd/N/name`, which is openat(2) in effect), so a link
 * that is swapped in between check and use is never followed.
 * @param owner  who gets what is made; null = Hive's own user.
 * @throws LaunchRefused  a link or a file in the way, not allowed, not writable.
 */
export async function openWorkingDirectory(plan: WorkingDirectoryPlan, owner: Owner | null): Promise<WorkingDirectory> {
  const shown = join(plan.base, ...plan.below)
  let handle: FileHandle | null = null
  try {
    await makePath(plan.base)
    handle = await open(plan.base, O_PATH | constants.O_DIRECTORY)
    for (const name of plan.below) {
      const next = await step(handle, name, owner)
      await handle.close()
      handle = next
    }
    const pinned = `/proc/self/fd/${handle.fd}`
    await access(pinned, constants.W_OK | constants.X_OK)
    const path = await readlink(pinned)
    if (owner) await verifyReach(path, owner)
    const opened = handle
    return { path, pinned, close: () => opened.close() }
  } catch (error) {
    await handle?.close()
    if (error instanceof LaunchRefused) throw error
    throw refusal(shown, error as NodeJS.ErrnoException)
  }
}

async function step(parent: FileHandle, name: string, owner: Owner | null): Promise<FileHandle> {
  const path = `/proc/self/fd/${parent.fd}/${name}`
  const made = await mkdir(path, 0o700).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  const handle = await open(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  if (made && owner) await chown(`/proc/self/fd/${handle.fd}`, owner.uid, owner.gid)
  return handle
}

/** Another user can only use the directory if it may pass through all that lie above. */
async function verifyReach(path: string, { uid, gid }: Owner): Promise<void> {
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    const found = await stat(folder)
    const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001
    if ((found.mode & bit) !== 0) continue
    const mend = `set working_dir to a place that user can reach, or allow passage with chmod o+x ${folder}`
    throw new LaunchRefused(`The user ${uid} cannot reach the working directory "${path}": ${mend}`)
  }
}

/** The message of the system error would name /proc/self/fd: only its code is told. */
function refusal(path: string, error: NodeJS.ErrnoException): LaunchRefused {
  const why: Readonly<Record<string, string>> = {
    ENOTDIR: 'a file or a symbolic link is in the way',
    ELOOP: 'a symbolic link is in the way',
    EACCES: 'Hive has no permission to write there',
    EPERM: 'Hive has no permission to write there',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
  }
  return new LaunchRefused(`The working directory "${path}" cannot be used: ${why[error.code ?? ''] ?? error.code}`)
}
