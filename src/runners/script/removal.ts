import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RunnerUnreachable } from '../driver.ts'
import type { CocoonIdentity } from './cage.ts'
import { cageOf } from './containment.ts'
import { announceStop, dismissLauncher, endAll, settleLauncher } from './ending.ts'
import { identityOf, type ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { namedLeaves, releaseLeaves } from './limits.ts'
import { targetOf } from './objects.ts'
import {
  attemptDirectory,
  attemptsOf,
  makeVoid,
  readIdentity,
  readMarker,
  serviceDirectory,
  takeAway,
} from './run-directory.ts'

/** Ends one attempt and everything it started. Done already = success. */
export async function stopAttempt(
  host: ScriptHost,
  script: ScriptHandle,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { directory, identity } = targetOf(host, script)
  await endAttempt(host, { directory, identity, graceMs, sandboxed: script.sandboxed }, signal)
}

/**
 * A cocoon ends with its worker. In a leaf its launcher sees to that, but it may be gone itself, or there is no leaf, or
 * something has left it. While a stop is under way its grace holds for what is left.
 */
export async function endWithWorker(host: ScriptHost, script: ScriptHandle, signal: AbortSignal): Promise<void> {
  const { directory, identity } = targetOf(host, script)
  const cocoon = identity()
  if (cocoon.worker === null || existsSync(join(directory, 'stopping'))) return
  try {
    await endAll(cageOf(cocoon, host.bootId), 0, signal)
  } catch (error) {
    if (!(error instanceof RunnerUnreachable)) throw error
    host.warn(`What a worker left behind goes on: ${error.message}`)
  }
}

/** Ends every attempt of a service and removes its run directory and its own working directory. */
export async function removeService(host: ScriptHost, script: ScriptHandle, signal: AbortSignal): Promise<void> {
  await stopAttempt(host, script, 0, signal)
  for (const attempt of attemptsOf(host.runs, script.id)) {
    const directory = attemptDirectory(host.runs, script.id, attempt)
    const marker = readMarker(directory)
    if (marker === null || attempt === script.attempt) continue
    const identity = () => identityOf(marker, readIdentity(directory, 'pid'))
    await endAttempt(host, { directory, identity, graceMs: 0, sandboxed: false }, signal)
  }
  for (const attempt of attemptsOf(host.runs, script.id))
    dismissLauncher(attemptDirectory(host.runs, script.id, attempt), host.bootId)
  const gone = takeAway(host.runs, serviceDirectory(host.runs, script.id))
  if (gone) await removeTree(gone, signal)
  await removeTree(join(host.workRoot, script.id), signal)
  // Last: whoever gets this uid next finds nothing of this one.
  await host.uids?.release(script.id)
}

interface Ending {
  readonly directory: string
  readonly identity: () => CocoonIdentity
  readonly graceMs: number
  readonly sandboxed: boolean
}

async function endAttempt(host: ScriptHost, ending: Ending, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await announceStop(ending.directory)
  // A launch that is still under way gets no worker any more.
  await makeVoid(ending.directory, 'pid')
  const cocoon = ending.identity()
  const cage = cageOf(cocoon, host.bootId)
  await endAll(cage, ending.graceMs, signal, ending)
  const marker = readMarker(ending.directory)
  await releaseLeaves(marker ? (marker.limits ?? []) : namedLeaves(host.controllers(), cocoon.mark), signal)
  if (cocoon.bootId !== host.bootId) return
  await settleLauncher(ending.directory, signal)
  // Until then the launcher may have made the leaf again.
  await cage.release()
}

/** `rm` cannot be aborted: after an abort it goes on, and a later call finds less to do. */
async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const removed = rm(path, { recursive: true, force: true, maxRetries: 5 }).catch((error: NodeJS.ErrnoException) => {
    throw new RunnerUnreachable(`${path} cannot be removed (${error.code})`, { cause: error })
  })
  try {
    await Promise.race([removed, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
