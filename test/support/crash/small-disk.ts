import { execFileSync } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A file system of a few megabytes, so that a full disk can be had without filling one. */
export async function smallDisk(t: TestContext, megabytes: number): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'hive-test', directory])
  t.after(async () => {
    execFileSync('umount', ['-l', directory])
    await rm(directory, { recursive: true, force: true })
  })
  return directory
}

/** Why there can be no small disk here; false = there can. */
export function noSmallDisk(): string | false {
  if (process.getuid?.() !== 0) return 'needs root to mount a small disk'
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'probe', '/mnt'], { stdio: 'ignore' })
    return false
  } catch {
    return 'this host does not let root mount'
  }
}

/** Fills a file system to the last byte. @returns the function that gives the space back. */
export async function fillDisk(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'filler')
  const file = await open(path, 'w')
  for (const size of [1 << 20, 4096, 1]) while (await grew(file, size));
  await file.close()
  return () => rm(path)
}

async function grew(file: Awaited<ReturnType<typeof open>>, size: number): Promise<boolean> {
  try {
    return (await file.write(Buffer.alloc(size))).bytesWritten === size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
