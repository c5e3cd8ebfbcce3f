import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import type { Fact } from '../../src/services/state/fact.ts'
import { isEnded, type ServiceRow, type ServiceState, STATE_RANK } from '../../src/services/state/record.ts'
import { type Action, type IntentRequest, intend, nextAction, observe } from '../../src/services/state/step.ts'
import { FACTS, lease, NOW, requestedRow } from '../support/service-row.ts'

/** The table of design 5, written down again: what may follow within one attempt. */
const LEGAL: Readonly<Record<ServiceState, string>> = {
  requested: 'preparing stopping rejected',
  preparing: 'starting stopping rejected',
  starting: 'running stopping rejected failed lost',
  running: 'stopping stopped failed lost',
  stopping: 'stopped',
  stopped: 'removed',
  rejected: 'removed',
  failed: 'removed',
  lost: 'removed',
  removed: '',
}

type Event =
  | { readonly fact: Fact; readonly ago: number }
  | { readonly request: IntentRequest }
  /** What an action would report if all went well. */
  | { readonly natural: true }

const exits = fc.constantFrom(
  { code: 0, signal: null, oom: false },
  { code: 7, signal: null, oom: false },
  { code: 137, signal: 'SIGKILL', oom: true },
)
const facts: fc.Arbitrary<Fact> = fc.oneof(
  fc.constantFrom<Fact[]>(...Object.values(FACTS)),
  exits.map((exit): Fact => ({ type: 'exited', exit, endedAt: null })),
  fc.option(exits).map((exit): Fact => ({ type: 'stopped', exit })),
  fc.nat(5).map((port): Fact => ({ type: 'ports', leases: [lease(20_000 + port)] })),
)
const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Event>({ natural: true }) },
  { weight: 3, arbitrary: fc.record({ fact: facts, ago: fc.constantFrom(0, 0, 0, 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      request: fc.record({
        desired: fc.constantFrom('running', 'running', 'stopped', 'removed'),
        by: fc.constantFrom('api', 'idle', 'ttl', 'restart', 'uses'),
        again: fc.boolean(),
        volumes: fc.boolean(),
        recreate: fc.boolean(),
      }),
    }),
  },
)

const NATURAL: Readonly<Record<Exclude<Action, 'none' | 'await_restart'>, Fact>> = {
  prepare: FACTS.starting,
  launch: FACTS.launched,
  await_ready: FACTS.ready,
  watch: FACTS.exited,
  begin_stop: FACTS.stopping,
  stop: FACTS.stopped,
  next_attempt: FACTS.next_attempt,
  remove: FACTS.removed,
}

function natural(row: ServiceRow): Fact | null {
  const action = nextAction(row)
  if (action === 'none' || action === 'await_restart') return null
  return row.record.state === 'requested' && action === 'prepare' ? FACTS.preparing : NATURAL[action]
}

function apply(row: ServiceRow, event: Event): ServiceRow {
  if ('request' in event) {
    const step = intend(row, event.request)
    return step.outcome === 'changed' ? step.row : row
  }
  const fact = 'fact' in event ? event.fact : natural(row)
  const ago = 'fact' in event ? event.ago : 0
  const step = fact === null ? null : observe(row, row.record.attempt - ago, fact, NOW)
  return step?.outcome === 'changed' ? step.row : row
}

function checkChange(before: ServiceRow, after: ServiceRow): void {
  const [from, to] = [before.record, after.record]
  if (before === after) return
  assert.equal(to.revision, from.revision + 1, 'one change, one revision')
  if (to.attempt === from.attempt) {
    assert.ok(to.state === from.state || LEGAL[from.state].split(' ').includes(to.state), `${from.state} → ${to.state}`)
    assert.ok(STATE_RANK[to.state] >= STATE_RANK[from.state], 'rank never goes back within an attempt')
  } else {
    assert.deepEqual([to.attempt, to.state], [from.attempt + 1, 'requested'])
    assert.ok(isEnded(from.state) && from.desired === 'running' && before.targetAttempt > from.attempt)
  }
  assert.notEqual(from.state, 'removed', 'removed is final')
  if (from.desired === 'removed') assert.equal(to.desired, 'removed', 'a removal is not taken back')
  if (isEnded(from.state) && to.attempt === from.attempt) {
    assert.equal(to.ended_at, from.ended_at)
    if (from.exit !== null) assert.deepEqual(to.exit, from.exit, 'the first end is final')
  }
}

function checkRow(row: ServiceRow): void {
  const { state, desired, attempt, ready, ports } = row.record
  const action = nextAction(row)
  const owed = row.targetAttempt > attempt
  const launches = ['prepare', 'launch', 'await_ready', 'watch', 'next_attempt'].includes(action)
  const due = isEnded(state) ? owed : !owed
  const launchable = desired === 'running' && due && state !== 'stopping' && state !== 'removed'
  assert.equal(launches, launchable, `${action} of ${state}, wanted ${desired}, owed ${owed}`)
  assert.equal(ready, state === 'running')
  assert.ok(row.launchedAttempt <= attempt && row.targetAttempt <= attempt + 1)
  assert.equal(row.sealed === null, state === 'removed')
  assert.equal(row.removedAt === null, state !== 'removed')
  if (state === 'running') assert.equal(row.launchedAttempt, attempt, 'nothing runs that was not launched')
  if (row.handle !== null) assert.equal(row.mayExist, true)
  if (state !== 'removed') assert.equal(ports.length, row.leases.length)
}

it('step: no sequence of facts and intents leaves the legal table or breaks an invariant', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 40 }), (sequence) => {
      let row = requestedRow({ id: '00000000-0000-4000-8000-000000000000' })
      checkRow(row)
      for (const event of sequence) {
        const next = apply(row, event)
        checkChange(row, next)
        checkRow(next)
        row = next
      }
    }),
    { numRuns: 2_000 },
  )
})

it('step: whatever happened before, a wanted removal ends in removed within four steps', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 30 }), fc.array(events, { maxLength: 6 }), (before, meanwhile) => {
      let row = before.reduce(apply, requestedRow({ id: '00000000-0000-4000-8000-000000000000' }))
      row = apply(row, { request: { desired: 'removed', by: 'api' } })
      row = meanwhile.reduce(apply, row)
      for (let steps = 0; steps < 4; steps++) row = apply(row, { natural: true })
      assert.equal(row.record.state, 'removed')
      assert.equal(nextAction(row), 'none')
    }),
    { numRuns: 1_000 },
  )
})

it('step: left alone, a wanted cocoon comes to running and an unwanted one to rest', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 30 }), fc.constantFrom('running', 'stopped'), (before, desired) => {
      let row = before.reduce(apply, requestedRow({ id: '00000000-0000-4000-8000-000000000000' }))
      fc.pre(row.record.desired !== 'removed')
      row = apply(row, { request: { desired, by: 'api' } })
      for (let steps = 0; steps < 10 && nextAction(row) !== 'watch'; steps++) row = apply(row, { natural: true })
      assert.equal(nextAction(row), desired === 'running' ? 'watch' : 'none')
    }),
    { numRuns: 1_000 },
  )
})
