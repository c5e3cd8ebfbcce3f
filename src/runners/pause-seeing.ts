import type { RunnerDriver, RunnerHandle } from './driver.ts'

/** Optional: sees that somebody keeps a cocoon from running on: paused, frozen, stopped by a signal. */
export interface PauseSeeing {
  /** @returns the keys of those that stand still. Cheap: asked every few seconds. @throws RunnerUnreachable */
  paused(handles: ReadonlyMap<string, RunnerHandle>, signal: AbortSignal): Promise<ReadonlySet<string>>
}

export function seesPauses(driver: RunnerDriver): driver is RunnerDriver & PauseSeeing {
  return 'paused' in driver && typeof driver.paused === 'function'
}
