/** Deadlines in milliseconds. */
export interface Timeouts {
  readonly callMs: number
  /** Create and start: a storage driver may copy the image, a network may be set up. */
  readonly startMs: number
  /** How long the engine may take over the grace of a stop. */
  readonly stopExtraMs: number
  readonly pullStallMs: number
  readonly pullTotalMs: number
}

export const TIMEOUTS: Timeouts = {
  callMs: 10_000,
  startMs: 60_000,
  stopExtraMs: 15_000,
  pullStallMs: 60_000,
  pullTotalMs: 3_600_000,
}
