import { isEnded, type ServiceRow } from './state/record.ts'

/** What a client can wait for, and when the waiting is over. */
export type WaitFor = 'ready' | 'running' | 'stopped' | 'gone'

/** True once the awaited is there, or cannot come any more without somebody asking again. */
export function isOver(row: ServiceRow, wanted: WaitFor): boolean {
  const { state } = row.record
  if (state === 'removed') return true
  if (wanted === 'gone') return false
  if (wanted === 'stopped') return isEnded(state)
  return isReady(row) || isHopeless(row)
}

export function isReady(row: ServiceRow): boolean {
  return row.record.state === 'running' && row.record.ready && row.targetAttempt <= row.record.attempt
}

/** Ended, with no further attempt owed or foreseen. */
export function isHopeless(row: ServiceRow): boolean {
  const { state, desired, attempt, next_attempt_at } = row.record
  if (state !== 'removed' && next_attempt_at !== null) return false
  return state === 'removed' || (isEnded(state) && (desired !== 'running' || row.targetAttempt <= attempt))
}
