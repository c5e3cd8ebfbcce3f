import { type FSWatcher, watch } from 'node:fs'
import type { ExitStatus } from '../driver.ts'
import type { CocoonIdentity } from './cage.ts'
import { workerRuns } from './containment.ts'
import { readExit } from './exit-file.ts'
import { isAlive } from './identity.ts'
import { readIdentity } from './run-directory.ts'

/** The watcher tells of the exit file at once; this is how often to look in case it cannot. */
const LOOK_EVERY_MS = 2_000
const RECORDING_LOOK_MS = 20
/** How long a launcher may take to write down the end of its worker. */
const RECORD_GRACE_MS = 3_000

export interface WaitTarget {
  readonly directory: string
  /** The identity, with the worker once it is known. */
  readonly identity: () => CocoonIdentity
  readonly bootId: string
}

/**
 * Waits for the end of an attempt, whoever launched it.
 * @returns the exit; null = the worker is gone and nobody wrote down how it ended.
 * @throws the signal's reason when it is aborted.
 */
export async function waitForEnd(target: WaitTarget, signal: AbortSignal): Promise<ExitStatus | null> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<ExitStatus | null>()
  let goneSince: number | null = null
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    clearTimeout(timer)
    const ended = readExit(target.directory)
    if (ended) return resolve(ended.exit)
    const fate = fateWithoutExit(target)
    if (fate === 'lost') return resolve(readExit(target.directory)?.exit ?? null)
    if (fate === 'recording') goneSince ??= performance.now()
    if (goneSince !== null && performance.now() - goneSince > RECORD_GRACE_MS) return resolve(null)
    timer = setTimeout(tick, fate === 'recording' ? RECORDING_LOOK_MS : LOOK_EVERY_MS)
  }
  const tick = () => {
    // The ordinary case, for hundreds of cocoons again and again: it runs, so there is no exit to look for.
    if (stillRuns(target)) timer = setTimeout(tick, LOOK_EVERY_MS)
    else look()
  }
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const watcher = watchDirectory(target.directory, look)
  look()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    watcher?.close()
    signal.removeEventListener('abort', onAbort)
  }
}

/** Of the same boot, pid and start time; whether it is still in its leaf matters to those who would signal it. */
function stillRuns({ identity, bootId }: WaitTarget): boolean {
  const cocoon = identity()
  return cocoon.bootId === bootId && cocoon.worker !== null && isAlive(cocoon.worker)
}

/** `runs` · `recording` = ended, and the launcher is about to write it down · `lost` = nobody will. */
export function fateWithoutExit({ directory, identity, bootId }: WaitTarget): 'runs' | 'recording' | 'lost' {
  const cocoon = identity()
  if (cocoon.bootId !== bootId) return 'lost'
  if (workerRuns(cocoon, bootId)) return 'runs'
  const launcher = readIdentity(directory, 'claim')
  return launcher !== null && isAlive(launcher) ? 'recording' : 'lost'
}

function watchDirectory(directory: string, look: () => void): FSWatcher | null {
  try {
    const watcher = watch(directory, look)
    // inotify limits, or the directory is gone: the timer still looks.
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return null
  }
}
