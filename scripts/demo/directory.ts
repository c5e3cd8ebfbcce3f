import { lstat, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

export interface DemoDirectory {
  readonly path: string
  /** Removes it if it was made for this run only. */
  release(): Promise<void>
}

/**
 * The demo's state directory: the same one each time, so that what an interrupted demo left is found and cleaned up
 * by the next. A second demo at the same time gets one of its own, since a state directory belongs to one Hive.
 */
export async function openDemoDirectory(isFirst: boolean): Promise<DemoDirectory> {
  const { uid } = userInfo()
  const path = join(tmpdir(), `hive-demo-${uid}`)
  if (isFirst && (await isOurs(path, uid))) return { path, release: () => Promise.resolve() }
  const own = await mkdtemp(`${path}-`)
  return { path: own, release: () => rm(own, { recursive: true, force: true }) }
}

/** Anybody may make a file of this name in /tmp: only a real directory of this user alone is taken. */
async function isOurs(path: string, uid: number): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const stat = await lstat(path)
  return stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0
}
