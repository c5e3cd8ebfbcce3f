import type { RunnerDriver, RunnerHandle } from './driver.ts'

/** Optional: sees that somebody keeps a cocoon from running on: paused, frozen, stopped by a signal. */
export interface PauseSeeing {
  /** @returns the keys of those that stand still. Cheap: asked every few seconds. @throws RunnerUnreachable */
  paused(handles: ReadonlyMap<string, RunnerHandle>, signal: AbortSignal): Promise<ReadonlySet<string>>
}

export function seesPauses(driver: RunnerDriver): driver is RunnerDriver & PauseSeeing {
  return 'paused' in driver && typeof driver.paused === 'function'
}

/** Optional: where the containment is a best effort, tells what seems to have got away from a stop. */
export interface SurvivorTelling {
  /** @returns a few words on each, fit for a log and an answer. Nothing of it is signalled: it is not proven to be the cocoon's. */
  survivors(handle: RunnerHandle, signal: AbortSignal): Promise<readonly string[]>
}

export function tellsSurvivors(driver: RunnerDriver): driver is RunnerDriver & SurvivorTelling {
  return 'survivors' in driver && typeof driver.survivors === 'function'
}
