import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LaunchSpec } from '../driver.ts'
import { leafCage } from './cgroup.ts'
import { cageOf } from './containment.ts'
import { endAll, retireLauncher } from './ending.ts'
import { identityOf } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { releaseLeaves } from './limits.ts'
import { attemptDirectory, attemptsOf, makeVoid, readIdentity, readMarker, removeAttempt } from './run-directory.ts'

/** Attempts of a service whose output is kept, the newest included. */
const KEPT_ATTEMPTS = 5
const CLEAR_LIMIT_MS = 2_000

/**
 * Leaves nothing of an attempt that has no worker and gets none. Runs on even if the start was aborted, but not long;
 * what it cannot clear is warned of, because the caller has an error of its own to tell.
 */
export async function clearAttempt(host: ScriptHost, { id, attempt }: LaunchSpec): Promise<void> {
  const directory = attemptDirectory(host.runs, id, attempt)
  const marker = readMarker(directory)
  if (marker === null) return
  const signal = AbortSignal.timeout(CLEAR_LIMIT_MS)
  try {
    if (marker.leaf) await endAll(leafCage(marker.leaf), 0, signal)
    await releaseLeaves(marker.limits ?? [], signal)
    await retireLauncher(directory, signal)
    // Until then the launcher may have made it again.
    if (marker.leaf) await leafCage(marker.leaf).release()
    await giveBackUid(host, { id, attempt })
    await removeAttempt(host.runs, marker)
  } catch (error) {
    host.warn(`What was left of an attempt could not be cleared: ${directory} (${(error as Error).message})`)
  }
  await rmdir(join(host.workRoot, id)).catch(() => {
    // Holds an earlier attempt's files, or was never made.
  })
}

/** A service that has never run has no use for its uid. Before its attempt is removed: then another start may begin. */
async function giveBackUid(host: ScriptHost, { id, attempt }: Pick<LaunchSpec, 'id' | 'attempt'>): Promise<void> {
  if (host.uids === null || attemptsOf(host.runs, id).some((each) => each !== attempt)) return
  const isGone = (error: NodeJS.ErrnoException) => error.code === 'ENOENT'
  if (await rmdir(join(host.workRoot, id)).then(() => true, isGone)) await host.uids.release(id)
}

/** Ends what earlier attempts left behind (a child may hold the port) and lets old output go. */
export async function endEarlierAttempts(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<void> {
  const earlier = attemptsOf(host.runs, spec.id).filter((attempt) => attempt < spec.attempt)
  const ended = await Promise.allSettled(earlier.map((attempt) => endEarlier(host, { ...spec, attempt }, signal)))
  for (const each of ended) if (each.status === 'rejected') throw each.reason
  const old = earlier.filter((attempt) => attempt <= spec.attempt - KEPT_ATTEMPTS)
  const markers = old.map((attempt) => readMarker(attemptDirectory(host.runs, spec.id, attempt)))
  for (const marker of markers) if (marker) await removeAttempt(host.runs, marker)
}

async function endEarlier(
  host: ScriptHost,
  { id, attempt }: Pick<LaunchSpec, 'id' | 'attempt'>,
  signal: AbortSignal,
): Promise<void> {
  const directory = attemptDirectory(host.runs, id, attempt)
  const marker = readMarker(directory)
  await makeVoid(directory, 'pid')
  if (marker) await endAll(cageOf(identityOf(marker, readIdentity(directory, 'pid')), host.bootId), 0, signal)
  await releaseLeaves(marker?.limits ?? [], signal)
}
