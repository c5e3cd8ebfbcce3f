import { setTimeout as delay } from 'node:timers/promises'
import { type ExitStatus, RunnerUnreachable } from '../driver.ts'
import type { Engine } from './engine.ts'
import { exitStatus } from './exit-status.ts'
import type { ContainerHandle } from './handle.ts'
import { EngineRefusal } from './request.ts'

const POLL_MS = 100
const REMOVAL_MS = 30_000
const KILL_MS = 5_000
const STOP_AGAIN_MS = 1_000
/** What a process ends with that was killed: 128 + SIGKILL. */
const KILLED = 137

/** Tells ends before the engine does, where it can. */
export interface EarlyExits {
  /**
   * Prepares to tell, before the engine is asked to wait: one that waits (Podman) is slow to answer anything else.
   * @returns what resolves when the container has ended, with null if it is not known how; null = only the engine knows.
   */
  lookOut(
    engine: Engine,
    id: string,
    signal: AbortSignal,
  ): Promise<((signal: AbortSignal) => Promise<ExitStatus | null>) | null>
}

/** Waits for the end. The wait of an ended container answers at once, so none is missed. null = it is gone. */
export async function waitForExit(
  engine: Engine,
  id: string,
  signal: AbortSignal,
  early: EarlyExits | null = null,
): Promise<ExitStatus | null> {
  const seen = (await early?.lookOut(engine, id, signal)) ?? null
  if (seen === null) return toldExit(engine, id, signal)
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  const told = toldExit(engine, id, either)
  let hasEnded = false
  const noticed = seen(either).then((exit) => {
    hasEnded = true
    return exit
  })
  try {
    const exit = (await Promise.race([noticed, told])) ?? (await told)
    // It ended, and was gone before anybody could read how: it was removed by force, which kills.
    return exit ?? (hasEnded ? exitStatus(KILLED, false) : null)
  } finally {
    over.abort()
    await told.catch(() => undefined)
  }
}

async function toldExit(engine: Engine, id: string, signal: AbortSignal): Promise<ExitStatus | null> {
  const code = await answered(() => waitEvenUnseen(engine, id, signal))
  if (code === null) return null
  // The wait does not tell of the out-of-memory killer.
  const container = await engine.inspect(id, signal)
  // Podman (4.3) answers 0 when somebody has removed it by force; nobody knows how it ended then.
  if (container === null && code <= 0 && engine.facts.flavour === 'podman') return null
  if (container === null || container.isAlive) return exitStatus(code, false)
  return container.hasRun ? exitStatus(container.exitCode, container.oom) : null
}

async function waitEvenUnseen(engine: Engine, id: string, signal: AbortSignal): Promise<number | null> {
  try {
    return await engine.wait(id, signal)
  } catch (error) {
    const container = error instanceof EngineRefusal ? await engine.inspect(id, signal) : null
    if (container?.isUnseenEnd !== true) throw error
    return container.exitCode
  }
}

/** TERM, KILL after the grace, and a look whether it worked. Already gone = fine. */
export async function stopContainer(engine: Engine, id: string, graceMs: number, signal: AbortSignal): Promise<void> {
  await answered(() => stopAsItIs(engine, id, graceMs, signal))
  if (await hasEnded(engine, id, signal)) return
  await answered(() => engine.kill(id, signal))
  if (await becomesTrue(() => hasEnded(engine, id, signal), KILL_MS, signal)) return
  throw new RunnerUnreachable('the container still runs after KILL')
}

/** Kills and removes it with its anonymous volumes, and waits until it is gone. */
export async function removeContainer(engine: Engine, id: string, signal: AbortSignal): Promise<void> {
  const isRemoved = await answered(() => engine.remove(id, signal))
  if (isRemoved) return
  // 409: somebody else's removal is under way, or something holds it for a moment. 404: gone, if that is true.
  const isGone = async (): Promise<boolean> => (await engine.inspect(id, signal)) === null
  const isGoneOrRemoved = async (): Promise<boolean> => (await isGone()) || answered(() => engine.remove(id, signal))
  if (!(await becomesTrue(isGoneOrRemoved, REMOVAL_MS, signal)))
    throw new RunnerUnreachable(`the container is still being removed after ${REMOVAL_MS / 1_000} s`)
}

/** The container and, if asked, the named volumes it mounted. @returns names of volumes that others still use. */
export async function removeAll(
  engine: Engine,
  handle: ContainerHandle,
  withVolumes: boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const mounted = withVolumes ? ((await engine.inspect(handle.containerId, signal))?.volumes ?? []) : []
  await removeContainer(engine, handle.containerId, signal)
  if (!withVolumes) return []
  const kept: string[] = []
  for (const name of new Set([...handle.volumes, ...mounted])) {
    if (!(await answered(() => engine.removeVolume(name, signal)))) kept.push(name)
  }
  return kept
}

async function stopAsItIs(engine: Engine, id: string, graceMs: number, signal: AbortSignal): Promise<void> {
  try {
    await engine.stop(id, graceMs, signal)
  } catch (error) {
    const container = error instanceof EngineRefusal ? await engine.inspect(id, signal) : null
    if (container?.isAlive === false) return
    if (container === null) throw error
    // Podman stops nothing that is paused.
    if (container.isPaused) await engine.unpause(id, signal)
    else await delay(STOP_AGAIN_MS, undefined, { signal })
    await stopOrNot(engine, id, graceMs, signal)
  }
}

/** Refused twice: then KILL is what is left. */
async function stopOrNot(engine: Engine, id: string, graceMs: number, signal: AbortSignal): Promise<void> {
  await engine.stop(id, graceMs, signal).catch((error: unknown) => {
    if (!(error instanceof EngineRefusal)) throw error
  })
}

async function hasEnded(engine: Engine, id: string, signal: AbortSignal): Promise<boolean> {
  return (await engine.inspect(id, signal))?.isAlive !== true
}

async function becomesTrue(condition: () => Promise<boolean>, ms: number, signal: AbortSignal): Promise<boolean> {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) return false
    await delay(POLL_MS, undefined, { signal })
  }
  return true
}

/** For calls whose refusal says nothing that could be mended: it is the engine that has a problem. */
export async function answered<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof EngineRefusal)
      throw new RunnerUnreachable(`the engine refused: ${error.message}`, { cause: error })
    throw error
  }
}
