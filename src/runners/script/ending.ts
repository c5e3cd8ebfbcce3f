import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { RunnerUnreachable } from '../driver.ts'
import type { Cage } from './cage.ts'
import { readExit } from './exit-file.ts'
import { innerPid, isAlive, type ProcessIdentity, signalProcess } from './identity.ts'
import { poll } from './pause.ts'
import { launcherRuns } from './processes.ts'
import { makeVoid, readIdentity, readMarker } from './run-directory.ts'

/** How long after KILL the kernel may take to let go; a process in uninterruptible sleep takes longer. */
const KILL_ROUND_MS = 500
const KILL_ROUNDS = 10
const RECORD_LIMIT_MS = 1_000
const RETIRE_LIMIT_MS = 5_000

/**
 * Ends everything in a cage: TERM to each process once, KILL to what is left after the grace, then looks whether it is
 * empty. CONT goes along with TERM, because a stopped process could not act on it.
 *
 * @param graceMs  milliseconds between the two; 0 = KILL at once.
 * @throws RunnerUnreachable  something cannot be killed.
 */
export async function endAll(
  cage: Cage,
  graceMs: number,
  signal: AbortSignal,
  { sandboxed = false }: { readonly sandboxed?: boolean } = {},
): Promise<void> {
  signal.throwIfAborted()
  if (graceMs > 0) {
    await Promise.all([cage.look(), cage.thaw()])
    askToEnd(cage.members(), sandboxed)
    await isEmptyWithin(cage, graceMs, signal)
  }
  // Outside of cgroups a process may fork away from one round: then the next one finds it.
  for (let rounds = 0; rounds < KILL_ROUNDS; rounds++) {
    if (cage.isEmpty()) await cage.look()
    // A launcher that was late may join in the very moment between the look and the removal.
    if (cage.isEmpty() && (await cage.release())) return
    await cage.kill()
    await isEmptyWithin(cage, KILL_ROUND_MS, signal)
  }
  const pids = cage.members().map(({ pid }) => pid)
  throw new RunnerUnreachable(`Some processes do not end, not even by SIGKILL: ${pids.join(', ')}`)
}

/** TERM to each; to those in a sandbox alone, because its monitor and its init would kill the worker at once. */
function askToEnd(members: readonly ProcessIdentity[], sandboxed: boolean): void {
  const inside = sandboxed ? members.filter(isInsideSandbox) : []
  for (const member of inside.length > 0 ? inside : members) {
    if (signalProcess(member, 'SIGTERM')) signalProcess(member, 'SIGCONT')
  }
}

/** Not the first of its pid namespace, and not in the one that Hive is in. */
function isInsideSandbox(member: ProcessIdentity): boolean {
  const inner = innerPid(member.pid)
  return inner !== null && inner !== 1
}

async function isEmptyWithin(cage: Cage, limitMs: number, signal: AbortSignal): Promise<boolean> {
  return (await poll(() => (cage.isEmpty() ? true : undefined), { limitMs, longestMs: 20, signal })) === true
}

/** Tells the launcher that the grace of what the worker leaves behind is Hive's business now. */
export async function announceStop(directory: string): Promise<void> {
  const file = await open(join(directory, 'stopping'), 'a', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  await file?.close()
}

/**
 * Makes sure that no launcher works for this attempt any more: afterwards the attempt may begin anew.
 * @throws RunnerUnreachable  it does not end.
 */
export async function retireLauncher(directory: string, signal: AbortSignal): Promise<void> {
  if (await makeVoid(directory, 'claim')) return
  const isGone = () => {
    const launcher = readIdentity(directory, 'claim')
    // A claim without a number is void, or about to get its number.
    return (launcher ? isAlive(launcher) : launcherRuns(directory)) ? undefined : true
  }
  if (await poll(isGone, { limitMs: RETIRE_LIMIT_MS, longestMs: 20, signal })) return
  throw new RunnerUnreachable(`The launcher of ${directory} does not end`)
}

/** Ends a launcher that has nothing left to write down, and did not end by itself: somebody has stopped it. */
export function dismissLauncher(directory: string, bootId: string): void {
  const launcher = readMarker(directory)?.boot_id === bootId ? readIdentity(directory, 'claim') : null
  if (launcher !== null) signalProcess(launcher, 'SIGKILL')
}

/** Waits until the launcher has written down how the worker ended, or is gone. One that has not begun does not. */
export async function settleLauncher(directory: string, signal: AbortSignal): Promise<void> {
  if (await makeVoid(directory, 'claim')) return
  const launcher = readIdentity(directory, 'claim')
  if (launcher === null) return
  const settled = () => (isAlive(launcher) ? undefined : true)
  const recorded = () => settled() ?? (readExit(directory) ? true : undefined)
  await poll(recorded, { limitMs: RECORD_LIMIT_MS, longestMs: 20, signal })
  await poll(settled, { limitMs: RECORD_LIMIT_MS, longestMs: 20, signal })
}
