import { isDeepStrictEqual } from 'node:util'
import { type Ending, endAttempt, nextAttempt } from './attempt.ts'
import type { Fact } from './fact.ts'
import {
  isEnded,
  NEXT_STATES,
  type PortLease,
  type ServiceError,
  type ServiceRecord,
  type ServiceRow,
  type ServiceState,
  STATE_RANK,
} from './record.ts'
import { comeBack, forgive, planRestart } from './restart.ts'

/** How often one attempt is moved to other ports because a stranger took the ones it was given. */
export const PORT_MOVES = 3

type FactOf<Type extends Fact['type']> = Extract<Fact, { type: Type }>

/**
 * What one fact makes of a row. Pure; only legal transitions come out.
 * @returns the row itself when the fact says nothing new, null when the present state does not allow it.
 */
export function applyFact(row: ServiceRow, fact: Fact, now: string): ServiceRow | null {
  switch (fact.type) {
    case 'preparing':
      return move(row, 'preparing')
    case 'starting':
      return toStarting(row, fact)
    case 'ports':
      return toOtherPorts(row, fact)
    case 'launched':
      return toLaunched(row, fact, now)
    case 'uses':
      return toUses(row, fact)
    case 'ready':
      return toRunning(row, now)
    case 'stopping':
      return isUnwanted(row) ? move(row, 'stopping', { ready: false }) : null
    case 'next_attempt':
      return isAttemptDue(row) ? nextAttempt(row, now) : null
    case 'removed':
      return toRemoved(row, now)
    case 'trouble':
      return toTrouble(row, fact)
    case 'health':
      return toHealth(row, fact)
    case 'leased':
      return fact.until === row.leaseUntil ? row : { ...row, leaseUntil: fact.until }
    case 'observed':
      return toObserved(row, fact)
    default:
      return toEnd(row, fact, now)
  }
}

/** True if the current attempt has a handle; an older attempt's is kept only to start the same container again. */
export function isLaunched(row: ServiceRow): boolean {
  return row.handle !== null && row.launchedAttempt === row.record.attempt
}

/** True if this attempt has ended and another one is wanted. */
export function isAttemptDue(row: ServiceRow): boolean {
  const { state, desired, attempt } = row.record
  return isEnded(state) && desired === 'running' && row.targetAttempt > attempt
}

/** True if nobody wants this attempt any more, or it has to make room for the next one. */
export function isUnwanted(row: ServiceRow): boolean {
  return row.record.desired !== 'running' || row.targetAttempt > row.record.attempt
}

export function withRecord(row: ServiceRow, patch: Partial<ServiceRecord>): ServiceRow {
  return { ...row, record: { ...row.record, ...patch } }
}

function toEnd(row: ServiceRow, fact: Ending, now: string): ServiceRow | null {
  const end = endAttempt(row, fact, now)
  if (end === null || end === row) return end
  const { state } = end.record
  if (state === row.record.state) return end
  if (!NEXT_STATES[row.record.state].includes(state)) return null
  if ('rebooted' in fact && fact.rebooted === true) return comeBack(end)
  return fact.type === 'stopped' ? end : planRestart(end, now, !('uncharged' in fact && fact.uncharged === true))
}

function toTrouble(row: ServiceRow, { error }: FactOf<'trouble'>): ServiceRow {
  if (sameError(row.record.error, error)) return row
  const launching = STATE_RANK[row.record.state] < STATE_RANK.running
  return withRecord(launching && error !== null ? forgive(row) : row, { error })
}

/** Durable before the launch that gives the addresses to the cocoon, so that it is always known what it has been told. */
function toUses(row: ServiceRow, { uses }: FactOf<'uses'>): ServiceRow | null {
  const { state } = row.record
  if (state !== 'preparing' && state !== 'starting' && state !== 'running') return null
  return isDeepStrictEqual(row.record.uses, uses) ? row : withRecord(row, { uses })
}

function toHealth(row: ServiceRow, { health }: FactOf<'health'>): ServiceRow | null {
  const { state } = row.record
  if (state !== 'starting' && state !== 'running') return null
  return row.record.health === health ? row : withRecord(row, { health })
}

function move(row: ServiceRow, state: ServiceState, patch: Partial<ServiceRecord> = {}): ServiceRow | null {
  if (state === row.record.state) return row
  return NEXT_STATES[row.record.state].includes(state) ? withRecord(row, { ...patch, state }) : null
}

function toStarting(row: ServiceRow, fact: FactOf<'starting'>): ServiceRow | null {
  if (row.record.state === 'starting') return isDeepStrictEqual(row.leases, fact.leases) ? row : null
  if (row.record.state !== 'preparing') return null
  const timings = { ...row.record.timings, queued_ms: fact.queuedMs, pull_ms: fact.pullMs }
  const leased = withLeases(row, fact.leases)
  return { ...withRecord(leased, { state: 'starting', timings }), gated: fact.gated, mayExist: true }
}

function toOtherPorts(row: ServiceRow, { leases }: FactOf<'ports'>): ServiceRow | null {
  if (row.record.state !== 'starting') return null
  if (isDeepStrictEqual(row.leases, leases)) return row
  if (row.portMoves >= PORT_MOVES) return null
  return withLeases({ ...row, handle: null, launchedAttempt: 0, portMoves: row.portMoves + 1 }, leases)
}

function toLaunched(row: ServiceRow, fact: FactOf<'launched'>, now: string): ServiceRow | null {
  const { state } = row.record
  // A launch may be overtaken by a stop, but never by one that came before it.
  if (state !== 'starting' && !(state === 'stopping' && row.mayExist)) return null
  const timings = { ...row.record.timings, create_ms: fact.createMs, start_ms: fact.startMs }
  const patch = {
    pid: fact.pid,
    container_id: fact.containerId,
    started_at: isoTime(fact.startedAt, now),
    error: null,
    timings,
  }
  const { handle, endpoint, boot } = fact
  const leased = fact.leases ? withLeases(row, fact.leases) : row
  const next = { ...withRecord(leased, patch), handle, launchedAttempt: row.record.attempt, endpoint, boot }
  return isDeepStrictEqual(next, row) ? row : next
}

/** Engines write times with nanoseconds and offsets of their own; one that cannot be read is as good as now. */
function isoTime(text: string, now: string): string {
  const time = new Date(text)
  return Number.isNaN(time.getTime()) ? now : time.toISOString()
}

function toRunning(row: ServiceRow, now: string): ServiceRow | null {
  const { state, started_at } = row.record
  if (state === 'running') return row
  if (state !== 'starting' || !isLaunched(row)) return null
  const ready_ms = started_at === null ? null : Math.max(0, Date.parse(now) - Date.parse(started_at))
  const timings = { ...row.record.timings, ready_ms }
  return withRecord(row, { state: 'running', ready: true, ready_at: now, error: null, timings })
}

/** Why it ended stays in the record: it is what a client sees of it from now on. */
function toRemoved(row: ServiceRow, now: string): ServiceRow | null {
  const { state, desired, ended_at } = row.record
  if (state === 'removed') return row
  if (!isEnded(state) || desired !== 'removed') return null
  const leases = row.leases.map((lease) => ({ ...lease, releasedAt: lease.releasedAt ?? now }))
  return {
    ...withRecord(row, { state: 'removed', ended_at: ended_at ?? now, ports: [] }),
    leases,
    removedAt: now,
    handle: null,
    endpoint: null,
    mayExist: false,
    sealed: null,
  }
}

function toObserved(row: ServiceRow, fact: FactOf<'observed'>): ServiceRow | null {
  if (row.record.state !== 'running' && row.record.state !== 'starting') return null
  const endpoint = fact.endpoint ?? row.endpoint
  const moved = endpoint?.host !== row.endpoint?.host || endpoint?.port !== row.endpoint?.port
  const same = fact.pid === row.record.pid && fact.boot === row.boot && row.record.error === null
  return !moved && same ? row : { ...withRecord(row, { pid: fact.pid, error: null }), endpoint, boot: fact.boot }
}

function withLeases(row: ServiceRow, leases: readonly PortLease[]): ServiceRow {
  const ports = leases.map(({ port, host, hostPort, protocol }) => ({ port, host, host_port: hostPort, protocol }))
  return { ...withRecord(row, { ports }), leases }
}

function sameError(left: ServiceError | null, right: ServiceError | null): boolean {
  return left?.code === right?.code && left?.detail === right?.detail
}
