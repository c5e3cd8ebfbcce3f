import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { mkdir, open, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LaunchRefused } from '../driver.ts'
import type { ProcessIdentity } from './identity.ts'

/**
 * One directory per attempt, `<state>/run/<id>/<attempt>/`, mode 0700: all that survives Hive.
 *
 *   marker.json  what is launched and by whom, on disk before anything is launched; no secret
 *   plan         what launcher and shim do beside the usual (launcher.ts)
 *   claim        pid and start time of the one launcher
 *   pid          pid and start time of the worker, written by its shim before exec
 *   refused      why there is no worker · exit  how it ended · stopping  Hive is stopping it
 *   output/      stdout.log and stderr.log (a directory of its own, so that watching the attempt does not see them grow)
 *   by-<ticket>/ empty; launcher and shim write through it, see `launcherView`
 */
export interface Marker {
  readonly version: 1
  readonly instance: string
  readonly id: string
  readonly name: string
  readonly kind: string
  readonly attempt: number
  readonly boot_id: string
  readonly config_hmac: string
  readonly leaf: string | null
  /** Leaves of v1 hierarchies that limit it; rows of an earlier Hive have none. */
  readonly limits?: readonly string[]
  readonly sandbox?: string | null
  readonly host: string | null
  readonly port: number | null
  /** All its ports, the exposed one first; markers of an earlier Hive have none. */
  readonly ports?: readonly { readonly name: string | null; readonly port: number }[]
  /** Tells this launch from others of the same attempt, which an aborted start may have left on their way. */
  readonly ticket: string
  /** The Hive process that makes the launch. */
  readonly hive: ProcessIdentity
  readonly created_at: string
}

const DRAFT_AGE_MS = 60_000

export interface RunRoot {
  readonly path: string
}

/** The directory of all attempts of a service. @throws LaunchRefused if the id could leave the run directory. */
export function serviceDirectory(runs: RunRoot, id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(id)) throw new LaunchRefused('The service id cannot be a directory name')
  return join(runs.path, id)
}

export function attemptDirectory(runs: RunRoot, id: string, attempt: number): string {
  if (!Number.isInteger(attempt) || attempt < 0) throw new LaunchRefused('The attempt is not a number')
  return join(serviceDirectory(runs, id), String(attempt))
}

/**
 * Makes the directory of an attempt, complete with its marker, in one step.
 * @returns false if it exists already: then somebody else launches or launched it.
 */
export async function createAttempt(runs: RunRoot, marker: Marker, plan: string): Promise<boolean> {
  const target = attemptDirectory(runs, marker.id, marker.attempt)
  const draft = join(runs.path, `.new-${randomUUID()}`)
  await mkdir(join(draft, 'output'), { recursive: true, mode: 0o700 })
  try {
    await writeDurably(join(draft, 'marker.json'), `${JSON.stringify(marker)}\n`)
    await writeFile(join(draft, 'plan'), plan, { mode: 0o600 })
    await mkdir(join(draft, ticketName(marker)), { mode: 0o700 })
    await mkdir(serviceDirectory(runs, marker.id), { recursive: true, mode: 0o700 })
    // rename(2) onto a directory that is not empty fails: that makes it a claim.
    await rename(draft, target)
    return true
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/**
 * The directory of an attempt as its launcher is told it. It leads through the launch's own ticket: when the attempt
 * has been cleared away and made anew, it leads nowhere, so that a launcher that comes late can touch nothing.
 */
export function launcherView(directory: string, marker: Pick<Marker, 'ticket'>): string {
  return `${directory}/${ticketName(marker)}/..`
}

function ticketName({ ticket }: Pick<Marker, 'ticket'>): string {
  return `by-${ticket}`
}

/** Removes one attempt, if it is still this launch of it, and the service's directory if it was the last. */
export async function removeAttempt(runs: RunRoot, marker: Pick<Marker, 'id' | 'attempt' | 'ticket'>): Promise<void> {
  const directory = attemptDirectory(runs, marker.id, marker.attempt)
  // Looking and taking it away are one step: in between, another start could have begun the attempt anew.
  const taken = readMarker(directory)?.ticket === marker.ticket ? takeAway(runs, directory) : null
  if (taken) await rm(taken, { recursive: true, force: true, maxRetries: 5 })
  await rmdir(serviceDirectory(runs, marker.id)).catch(() => {
    // Other attempts are still in it, or it is gone.
  })
}

/**
 * Takes a directory out of everybody's sight, so that nobody makes files in it while it is being removed.
 * @returns where it is now; null = there was none.
 */
export function takeAway(runs: RunRoot, directory: string): string | null {
  const gone = join(runs.path, `.gone-${randomUUID()}`)
  try {
    renameSync(directory, gone)
    return gone
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The attempts of a service that have a directory, ascending. */
export function attemptsOf(runs: RunRoot, id: string): number[] {
  return namesIn(serviceDirectory(runs, id))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
}

/** The services that have a run directory. */
export function servicesIn(runs: RunRoot): string[] {
  return namesIn(runs.path).filter((name) => !name.startsWith('.'))
}

/** Null = there is no such attempt, or its marker is not one of ours. */
export function readMarker(directory: string): Marker | null {
  try {
    const marker = JSON.parse(readFileSync(join(directory, 'marker.json'), 'utf8')) as Marker
    return marker.version === 1 && typeof marker.id === 'string' ? marker : null
  } catch {
    return null
  }
}

/** Pid and start time from `claim` or `pid`; null = not written yet, or half written, or void. */
export function readIdentity(directory: string, file: 'claim' | 'pid'): ProcessIdentity | null {
  const [, pid, startTime] = /^(\d+) (\d+)\n$/.exec(readSmall(directory, file) ?? '') ?? []
  return pid && startTime ? { pid: Number(pid), startTime: Number(startTime) } : null
}

/** Null = there is no such file. These are a few bytes in the page cache, so reading them synchronously is cheapest. */
export function readSmall(directory: string, file: 'claim' | 'pid' | 'refused' | 'exit'): string | null {
  const path = join(directory, file)
  try {
    // Mostly it is not there yet, and asking first is much cheaper than an exception.
    return existsSync(path) ? readFileSync(path, 'latin1') : null
  } catch {
    return null
  }
}

/**
 * Makes sure that no shim (`pid`) or launcher (`claim`) which is still under way gets to work: each makes the same file
 * with O_EXCL.
 * @returns false if it was faster, or there is no such attempt.
 */
export async function makeVoid(directory: string, which: 'pid' | 'claim'): Promise<boolean> {
  try {
    const file = await open(join(directory, which), 'wx', 0o600)
    await file.close()
    return true
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** Removes what a Hive left that died while it made or removed an attempt. */
export async function sweepDrafts(runs: RunRoot): Promise<void> {
  for (const name of namesIn(runs.path).filter((each) => each.startsWith('.gone-')))
    await rm(join(runs.path, name), { recursive: true, force: true, maxRetries: 5 })
  for (const name of namesIn(runs.path).filter((each) => each.startsWith('.new-'))) {
    const draft = join(runs.path, name)
    const age = await stat(draft).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    )
    if (age > DRAFT_AGE_MS) await rm(draft, { recursive: true, force: true })
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
}
