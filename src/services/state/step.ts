import type { Fact } from './fact.ts'
import { type Desired, type Intent, type IntentBy, isEnded, type ServiceRow, STATE_RANK } from './record.ts'
import { NO_RESTARTS } from './restart.ts'
import { applyFact, isAttemptDue, isLaunched, isUnwanted, withRecord } from './transition.ts'

/**
 * The state machine, pure: a row and one thing that happened give the next row, or the reason why not. Everything that
 * writes a state goes through `observe` and `intend`, and what to do next is only ever read off `nextAction`.
 */

export interface IntentRequest {
  readonly desired: Desired
  readonly by: IntentBy
  readonly reason?: string | null
  /** With `running`: launch anew even if it runs. */
  readonly again?: boolean
  readonly volumes?: boolean
  readonly recreate?: boolean
  /** Only while the row has one of these revisions. */
  readonly revisions?: readonly number[] | null
}

export type Step =
  | { readonly outcome: 'changed'; readonly row: ServiceRow }
  | { readonly outcome: 'same' }
  /** `stale`: the row has none of the asked revisions. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly stale?: boolean }

export type Action =
  | 'prepare'
  | 'launch'
  | 'await_ready'
  | 'watch'
  | 'begin_stop'
  | 'stop'
  | 'await_restart'
  | 'next_attempt'
  | 'remove'
  | 'none'

/**
 * Takes one observation of one attempt.
 *
 * @returns `refused` for a fact of another attempt or one that the present state does not allow, `same` for one that
 *          says nothing new, else the changed row with its revision raised.
 */
export function observe(row: ServiceRow, attempt: number, fact: Fact, now: string): Step {
  const { state } = row.record
  if (attempt !== row.record.attempt) return refused(`attempt ${attempt} is not the current ${row.record.attempt}`)
  if (state === 'removed' && fact.type !== 'removed') return refused('the service is removed')
  const next = applyFact(row, fact, now)
  if (next === null) return refused(`${fact.type} is not possible in state ${state}`)
  return next === row ? { outcome: 'same' } : changed(row, next)
}

/** Records what is wanted. Removal is final; a wish that changes nothing is `same`. */
export function intend(row: ServiceRow, request: IntentRequest): Step {
  const { state, desired, revision } = row.record
  if (request.revisions && !request.revisions.includes(revision))
    return { ...refused(`the current ETag is "${revision}"`), stale: true }
  if (state === 'removed')
    return request.desired === 'removed' ? { outcome: 'same' } : refused('the service is removed')
  if (desired === 'removed' && request.desired !== 'removed') return refused('the service is being removed')
  const outdated = whyOutdated(row, request)
  if (outdated !== null) return refused(outdated)
  const targetAttempt = targetOf(row, request)
  const intent = intentOf(row, request, targetAttempt)
  const { volumes, recreate } = row.intent
  // A stop by hand is more than one by idleness: nothing wakes it.
  const firmer = row.intent.by === 'idle' && request.by !== 'idle'
  const same = request.desired === desired && targetAttempt === row.targetAttempt && !firmer
  if (same && intent.volumes === volumes && intent.recreate === recreate) return { outcome: 'same' }
  // Whoever asks by hand starts with a clean slate: the budget is there against restarts that nobody asks for.
  const restart = request.by === 'restart' || request.by === 'uses' ? row.restart : NO_RESTARTS
  const record = { desired: request.desired, next_attempt_at: null }
  return changed(row, { ...withRecord(row, record), targetAttempt, intent, restart })
}

/** What to do now. Launch if and only if desired = running and an attempt is owed. */
export function nextAction(row: ServiceRow): Action {
  const { state, desired } = row.record
  if (state === 'removed') return 'none'
  if (state === 'stopping') return 'stop'
  if (isEnded(state)) {
    if (desired === 'removed') return 'remove'
    if (isAttemptDue(row)) return 'next_attempt'
    return desired === 'running' && row.record.next_attempt_at !== null ? 'await_restart' : 'none'
  }
  if (isUnwanted(row)) return 'begin_stop'
  if (state === 'running') return 'watch'
  if (state === 'starting') return isLaunched(row) ? 'await_ready' : 'launch'
  return 'prepare'
}

/** Hive's own wishes rest on what was so when they were made; a user's wish may have come before them. */
function whyOutdated(row: ServiceRow, { by, desired: wanted }: IntentRequest): string | null {
  const { desired, state, next_attempt_at } = row.record
  if (by === 'restart' && wanted === 'running' && (desired !== 'running' || next_attempt_at === null))
    return 'no restart is due any more'
  if (by === 'wake' && wanted === 'running' && (desired !== 'stopped' || row.intent.by !== 'idle'))
    return 'it was not stopped as idle'
  const runs = desired === 'running' && state === 'running' && row.targetAttempt <= row.record.attempt
  if (by === 'idle' && wanted === 'stopped' && !runs) return 'it does not run idle any more'
  if (by === 'uses' && !runs) return 'it does not run any more'
  return null
}

function targetOf(row: ServiceRow, request: IntentRequest): number {
  const { state, desired, attempt } = row.record
  const launchAnew = request.again === true || desired !== 'running' || isEnded(state)
  return request.desired === 'running' && launchAnew ? attempt + 1 : row.targetAttempt
}

/** The same wish again may only add to what is asked for: volumes to a removal, a new container to a launch still due. */
function intentOf(row: ServiceRow, request: IntentRequest, targetAttempt: number): Intent {
  const { state, desired, attempt } = row.record
  const repeated = request.desired === desired && targetAttempt === row.targetAttempt
  const launchDue = targetAttempt > attempt || STATE_RANK[state] < STATE_RANK.starting
  return {
    by: request.by,
    reason: request.reason ?? null,
    volumes: request.volumes === true || (desired === 'removed' && row.intent.volumes),
    recreate: (launchDue && request.recreate === true) || (repeated && row.intent.recreate),
  }
}

function changed(from: ServiceRow, to: ServiceRow): Step {
  return { outcome: 'changed', row: withRecord(to, { revision: from.record.revision + 1 }) }
}

function refused(reason: string): Extract<Step, { outcome: 'refused' }> {
  return { outcome: 'refused', reason }
}
