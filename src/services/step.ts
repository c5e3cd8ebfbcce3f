import type { Endpoint, ExitStatus, RunnerHandle } from '../runners/driver.ts'
import { type Ending, endAttempt, nextAttempt } from './attempt.ts'
import {
  type Desired,
  type IntentBy,
  isEnded,
  NEXT_STATES,
  type PortLease,
  type ServiceError,
  type ServiceRecord,
  type ServiceRow,
  type ServiceState,
} from './record.ts'

/**
 * The state machine, pure: a row and one thing that happened give the next row, or the reason why not. Everything that
 * writes a state goes through `observe` and `intend`, and what to do next is only ever read off `nextAction`.
 */

export type Fact =
  | { readonly type: 'preparing' }
  | {
      readonly type: 'starting'
      readonly leases: readonly PortLease[]
      readonly gated: boolean
      readonly pullMs: number | null
      readonly queuedMs: number
    }
  /** A chosen port was lost to somebody else before the cocoon had it. */
  | { readonly type: 'ports'; readonly leases: readonly PortLease[] }
  | {
      readonly type: 'launched'
      readonly handle: RunnerHandle
      readonly endpoint: Endpoint | null
      readonly pid: number | null
      readonly containerId: string | null
      readonly startedAt: string
      readonly createMs: number | null
      readonly startMs: number
    }
  | { readonly type: 'ready' }
  | { readonly type: 'exited'; readonly exit: ExitStatus; readonly endedAt: string | null }
  | { readonly type: 'not_ready'; readonly exit: ExitStatus | null; readonly detail: string }
  | { readonly type: 'gone' }
  | { readonly type: 'refused'; readonly error: ServiceError; readonly unavailable: boolean }
  | { readonly type: 'stopping' }
  | { readonly type: 'stopped'; readonly exit: ExitStatus | null }
  | { readonly type: 'next_attempt' }
  | { readonly type: 'removed' }
  /** The runner does not answer: no state change, only said. null = it answers again. */
  | { readonly type: 'trouble'; readonly error: ServiceError | null }
  | { readonly type: 'observed'; readonly pid: number | null; readonly endpoint: Endpoint | null }

export interface IntentRequest {
  readonly desired: Desired
  readonly by: IntentBy
  readonly reason?: string | null
  /** With `running`: launch anew even if it runs. */
  readonly again?: boolean
  readonly volumes?: boolean
  readonly recreate?: boolean
}

export type Step =
  | { readonly outcome: 'changed'; readonly row: ServiceRow }
  | { readonly outcome: 'same' }
  | { readonly outcome: 'refused'; readonly reason: string }

export type Action =
  | 'prepare'
  | 'launch'
  | 'await_ready'
  | 'watch'
  | 'begin_stop'
  | 'stop'
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
  if (state === 'removed') return refused('the service is removed')
  const next = apply(row, fact, now)
  if (next === null) return refused(`${fact.type} is not possible in state ${state}`)
  return next === row ? { outcome: 'same' } : changed(row, next)
}

/** Records what is wanted. Removal is final; a wish that changes nothing is `same`. */
export function intend(row: ServiceRow, request: IntentRequest): Step {
  const { state, desired, attempt } = row.record
  if (state === 'removed') return refused('the service is removed')
  if (desired === 'removed' && request.desired !== 'removed') return refused('the service is being removed')
  const launchAnew = request.again === true || desired !== 'running' || isEnded(state)
  const targetAttempt = request.desired === 'running' && launchAnew ? attempt + 1 : row.targetAttempt
  const volumes = request.volumes === true || (desired === 'removed' && row.intent.volumes)
  if (request.desired === desired && targetAttempt === row.targetAttempt && volumes === row.intent.volumes)
    return { outcome: 'same' }
  const intent = { by: request.by, reason: request.reason ?? null, volumes, recreate: request.recreate === true }
  return changed(row, { ...withRecord(row, { desired: request.desired }), targetAttempt, intent })
}

/** What to do now. Launch if and only if desired = running and an attempt is owed. */
export function nextAction(row: ServiceRow): Action {
  const { state, desired, attempt } = row.record
  const owed = row.targetAttempt > attempt
  if (state === 'removed') return 'none'
  if (state === 'stopping') return 'stop'
  if (isEnded(state)) {
    if (desired === 'removed') return 'remove'
    return desired === 'running' && owed ? 'next_attempt' : 'none'
  }
  if (desired !== 'running' || owed) return 'begin_stop'
  if (state === 'running') return 'watch'
  if (state === 'starting') return isLaunched(row) ? 'await_ready' : 'launch'
  return 'prepare'
}

/** True if the current attempt has a handle; an older attempt's is kept only to start the same container again. */
export function isLaunched(row: ServiceRow): boolean {
  return row.handle !== null && row.launchedAttempt === row.record.attempt
}

function apply(row: ServiceRow, fact: Fact, now: string): ServiceRow | null {
  switch (fact.type) {
    case 'preparing':
      return move(row, 'preparing')
    case 'starting':
      return toStarting(row, fact)
    case 'ports':
      return row.record.state === 'starting'
        ? withLeases({ ...row, handle: null, launchedAttempt: 0 }, fact.leases)
        : null
    case 'launched':
      return toLaunched(row, fact)
    case 'ready':
      return toRunning(row, now)
    case 'stopping':
      return move(row, 'stopping', { ready: false })
    case 'next_attempt':
      return isEnded(row.record.state) ? nextAttempt(row, now) : null
    case 'removed':
      return toRemoved(row, now)
    case 'trouble':
      return sameError(row.record.error, fact.error) ? row : withRecord(row, { error: fact.error })
    case 'observed':
      return toObserved(row, fact)
    default:
      return toEnd(row, fact, now)
  }
}

function toEnd(row: ServiceRow, fact: Ending, now: string): ServiceRow | null {
  const end = endAttempt(row, fact, now)
  if (end === null || end === row) return end
  const { state } = end.record
  return state === row.record.state || NEXT_STATES[row.record.state].includes(state) ? end : null
}

function move(row: ServiceRow, state: ServiceState, patch: Partial<ServiceRecord> = {}): ServiceRow | null {
  if (state === row.record.state) return row
  return NEXT_STATES[row.record.state].includes(state) ? withRecord(row, { ...patch, state }) : null
}

function toStarting(row: ServiceRow, fact: Extract<Fact, { type: 'starting' }>): ServiceRow | null {
  if (row.record.state !== 'preparing') return null
  const timings = { ...row.record.timings, queued_ms: fact.queuedMs, pull_ms: fact.pullMs }
  const leased = withLeases(row, fact.leases)
  return { ...withRecord(leased, { state: 'starting', timings }), gated: fact.gated, mayExist: true }
}

function toLaunched(row: ServiceRow, fact: Extract<Fact, { type: 'launched' }>): ServiceRow | null {
  if (row.record.state !== 'starting' && row.record.state !== 'stopping') return null
  const timings = { ...row.record.timings, create_ms: fact.createMs, start_ms: fact.startMs }
  const patch = {
    pid: fact.pid,
    container_id: fact.containerId,
    started_at: new Date(fact.startedAt).toISOString(),
    error: null,
    timings,
  }
  return {
    ...withRecord(row, patch),
    handle: fact.handle,
    launchedAttempt: row.record.attempt,
    endpoint: fact.endpoint,
  }
}

function toRunning(row: ServiceRow, now: string): ServiceRow | null {
  const { state, started_at } = row.record
  if (state === 'running') return row
  if (state !== 'starting' || !isLaunched(row)) return null
  const ready_ms = started_at === null ? null : Math.max(0, Date.parse(now) - Date.parse(started_at))
  const timings = { ...row.record.timings, ready_ms }
  return withRecord(row, { state: 'running', ready: true, ready_at: now, error: null, timings })
}

function toRemoved(row: ServiceRow, now: string): ServiceRow | null {
  if (!isEnded(row.record.state)) return null
  const leases = row.leases.map((lease) => ({ ...lease, releasedAt: lease.releasedAt ?? now }))
  const record = { state: 'removed', desired: 'removed', ended_at: row.record.ended_at ?? now, ports: [] } as const
  return {
    ...withRecord(row, { ...record, error: null }),
    leases,
    handle: null,
    endpoint: null,
    mayExist: false,
    sealed: null,
  }
}

function toObserved(row: ServiceRow, fact: Extract<Fact, { type: 'observed' }>): ServiceRow | null {
  if (row.record.state !== 'running' && row.record.state !== 'starting') return null
  const endpoint = fact.endpoint ?? row.endpoint
  const moved = endpoint?.host !== row.endpoint?.host || endpoint?.port !== row.endpoint?.port
  if (!moved && fact.pid === row.record.pid && row.record.error === null) return row
  return { ...withRecord(row, { pid: fact.pid, error: null }), endpoint }
}

function withLeases(row: ServiceRow, leases: readonly PortLease[]): ServiceRow {
  const ports = leases.map(({ port, host, hostPort, protocol }) => ({ port, host, host_port: hostPort, protocol }))
  return { ...withRecord(row, { ports }), leases }
}

function withRecord(row: ServiceRow, patch: Partial<ServiceRecord>): ServiceRow {
  return { ...row, record: { ...row.record, ...patch } }
}

function changed(from: ServiceRow, to: ServiceRow): Step {
  return { outcome: 'changed', row: withRecord(to, { revision: from.record.revision + 1 }) }
}

function refused(reason: string): Step {
  return { outcome: 'refused', reason }
}

function sameError(left: ServiceError | null, right: ServiceError | null): boolean {
  return left?.code === right?.code && left?.detail === right?.detail
}
