import type { ExitStatus } from '../../runners/driver.ts'
import type { Fact } from './fact.ts'
import type { Exit, ExitReason, ServiceRecord, ServiceRow, ServiceState } from './record.ts'

/** How one attempt ends and the next begins. Pure, like the step that calls it. */

export type Ending = Extract<Fact, { type: 'exited' | 'not_ready' | 'unhealthy' | 'gone' | 'refused' | 'stopped' }>

/** The code of an end that left none behind, as moby says it for a container it lost. */
const UNKNOWN_CODE = 255

/** The first end of an attempt is final: a later one only fills in an `exit` that is still missing. null = not possible. */
export function endAttempt(row: ServiceRow, fact: Ending, now: string): ServiceRow | null {
  switch (fact.type) {
    case 'exited':
      return exited(row, fact.exit, fact.endedAt ?? now)
    case 'not_ready':
      return row.record.state === 'running'
        ? null
        : ended(row, 'failed', {
            ...end(fact.exit, 'not_ready', now),
            error: { code: 'HIVE_START_FAILED', detail: fact.detail },
          })
    case 'unhealthy':
      return row.record.state === 'running'
        ? ended(row, 'failed', {
            ...end(fact.exit, 'unhealthy', now),
            error: { code: 'HIVE_UNHEALTHY', detail: fact.detail },
          })
        : row.record.state === 'failed'
          ? row
          : null
    case 'gone':
      return row.record.state === 'stopping' ? row : ended(row, 'lost', end(null, 'lost', now))
    case 'refused':
      return ended(row, 'rejected', {
        ended_at: now,
        error: fact.error,
        exit: fact.unavailable ? exitOf(null, 'runner_unavailable') : null,
      })
    case 'stopped':
      return stopped(row, fact, now)
  }
}

/** Attempt + 1 from any ended state; what a later launch needs (handle, ports) stays. */
export function nextAttempt(row: ServiceRow, now: string): ServiceRow {
  const attempt = row.record.attempt + 1
  const fresh = {
    pid: null,
    ready: false,
    started_at: null,
    ready_at: null,
    ended_at: null,
    exit: null,
    error: null,
    health: 'none',
    next_attempt_at: null,
  } as const
  const timings = { queued_ms: null, pull_ms: null, create_ms: null, start_ms: null, ready_ms: null }
  const record = { ...row.record, ...fresh, timings, state: 'requested', attempt, restarts: attempt - 1 } as const
  return { ...row, record, attemptAt: now, portMoves: 0, endpoint: null }
}

function exited(row: ServiceRow, exit: ExitStatus, at: string): ServiceRow | null {
  const { state } = row.record
  if (state === 'stopping') return row.record.exit ? row : withExit(row, exitOf(exit, stopReason(row)))
  if (state !== 'running' && state !== 'starting') return exitedLate(row, exit)
  const next = state === 'running' && exit.code === 0 ? 'stopped' : 'failed'
  return ended(row, next, {
    ...end(exit, exitReason(exit), at),
    error: state === 'starting' ? beforeReady(exit) : null,
  })
}

function exitReason(exit: ExitStatus): ExitReason {
  if (exit.oom) return 'oom'
  return exit.signal ? 'signal' : 'exited'
}

/** After the end only a missing exit is of interest; before the first launch there is nothing that could have ended. */
function exitedLate(row: ServiceRow, exit: ExitStatus): ServiceRow | null {
  if (row.record.ended_at === null) return null
  return row.record.state === 'stopped' && row.record.exit === null ? withExit(row, exitOf(exit, stopReason(row))) : row
}

function beforeReady(exit: ExitStatus) {
  return { code: 'HIVE_START_FAILED', detail: `it ended with code ${exit.code} before it was ready` }
}

function stopped(row: ServiceRow, fact: Extract<Fact, { type: 'stopped' }>, now: string): ServiceRow | null {
  const { exit, error = null } = fact
  if (row.record.state !== 'stopping') return row.record.state === 'stopped' ? row : null
  const known = row.record.exit ?? (exit ? exitOf(exit, stopReason(row)) : null)
  return ended(row, 'stopped', { ended_at: now, exit: known, error })
}

function stopReason(row: ServiceRow): ExitReason {
  const { by } = row.intent
  return by === 'idle' || by === 'ttl' ? by : 'stopped'
}

function end(exit: ExitStatus | null, reason: ExitReason, ended_at: string): Partial<ServiceRecord> {
  return { ended_at, exit: exitOf(exit, reason) }
}

function exitOf(exit: ExitStatus | null, reason: ExitReason): Exit {
  return { code: exit?.code ?? UNKNOWN_CODE, signal: exit?.signal ?? null, reason, oom: exit?.oom ?? false }
}

function withExit(row: ServiceRow, exit: Exit): ServiceRow {
  return { ...row, record: { ...row.record, exit } }
}

function ended(row: ServiceRow, state: ServiceState, patch: Partial<ServiceRecord>): ServiceRow {
  if (row.record.state === state) return row
  return { ...row, record: { ...row.record, ...patch, state, health: 'none', ready: false, pid: null }, endpoint: null }
}
