import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Fact } from '../../src/services/state/fact.ts'
import { isEnded, SERVICE_STATES, type ServiceRow, type ServiceState } from '../../src/services/state/record.ts'
import { intend, nextAction, observe } from '../../src/services/state/step.ts'
import { isLaunched } from '../../src/services/state/transition.ts'
import { changedRow, FACTS, lease, NOW, requestedRow, rowIn, through, wished } from '../support/service-row.ts'

type FactType = Fact['type']
type Result = ServiceState | 'same' | 'refused'

/** What each fact of the current attempt leads to; a state that is not named refuses it. */
const EXPECTED: Readonly<Record<FactType, Readonly<Partial<Record<ServiceState, Result>>>>> = {
  preparing: { requested: 'preparing', preparing: 'same' },
  starting: { preparing: 'starting', starting: 'same' },
  ports: { starting: 'starting' },
  launched: { starting: 'same', stopping: 'same' },
  uses: { preparing: 'preparing', starting: 'starting', running: 'running' },
  ready: { starting: 'running', running: 'same' },
  exited: {
    starting: 'failed',
    running: 'failed',
    stopping: 'stopping',
    stopped: 'same',
    rejected: 'same',
    failed: 'same',
    lost: 'same',
  },
  not_ready: { starting: 'failed', failed: 'same' },
  unhealthy: { running: 'failed', failed: 'same' },
  health: { starting: 'starting', running: 'running' },
  gone: { starting: 'lost', running: 'lost', stopping: 'same', lost: 'same' },
  refused: { requested: 'rejected', preparing: 'rejected', starting: 'rejected', rejected: 'same' },
  // They are all wanted as they are; with a stop or a restart asked for see below.
  stopping: { stopping: 'same' },
  stopped: { stopping: 'stopped', stopped: 'same' },
  // Nothing is owed in these rows; with something owed see below.
  next_attempt: {},
  // Nobody asked for a removal in these rows; with that asked see below.
  removed: { removed: 'same' },
  trouble: Object.fromEntries(SERVICE_STATES.filter((state) => state !== 'removed').map((state) => [state, state])),
  leased: Object.fromEntries(SERVICE_STATES.filter((state) => state !== 'removed').map((state) => [state, state])),
  observed: { starting: 'starting', running: 'running' },
}

const REQUESTS = [
  { desired: 'stopped', by: 'api' },
  { desired: 'removed', by: 'api' },
  { desired: 'running', by: 'api', again: true },
] as const

function resultOf(row: ServiceRow, fact: Fact): Result {
  const step = observe(row, row.record.attempt, fact, NOW)
  if (step.outcome !== 'changed') return step.outcome
  assert.equal(step.row.record.revision, row.record.revision + 1, 'one change raises the revision by one')
  return step.row.record.state
}

describe('observe: every state and every fact', () => {
  for (const state of SERVICE_STATES) {
    for (const type of Object.keys(EXPECTED) as FactType[]) {
      const expected = EXPECTED[type][state] ?? 'refused'
      it(`observe: ${type} in state ${state} gives ${expected}`, () => {
        assert.equal(resultOf(rowIn(state), FACTS[type]), expected)
      })
    }
  }

  for (const state of SERVICE_STATES) {
    it(`observe: every fact of another attempt is refused in state ${state}`, () => {
      const row = rowIn(state)
      for (const fact of Object.values(FACTS))
        for (const attempt of [0, 2, -1, Number.NaN])
          assert.equal(observe(row, attempt, fact, NOW).outcome, 'refused', `${fact.type} of attempt ${attempt}`)
    })
  }

  it('observe: a fact that changed something is same when it comes again at once', () => {
    const seen = new Set<string>()
    const launching = through(requestedRow(), FACTS.preparing, FACTS.starting)
    for (const state of SERVICE_STATES) {
      const wishes = REQUESTS.map((request) => intend(rowIn(state), request))
      const wished = wishes.flatMap((step) => (step.outcome === 'changed' ? step.row : []))
      for (const row of [launching, rowIn(state), ...wished]) {
        for (const fact of Object.values(FACTS)) {
          const step = observe(row, 1, fact, NOW)
          if (step.outcome !== 'changed') continue
          seen.add(fact.type)
          // An attempt begins once: the same fact again is about an attempt that is over.
          const again = observe(step.row, 1, fact, '2030-01-01T00:00:00.000Z').outcome
          assert.equal(again, fact.type === 'next_attempt' ? 'refused' : 'same', `${fact.type} twice from ${state}`)
        }
      }
    }
    assert.deepEqual(seen, new Set(Object.keys(FACTS)))
  })
})

describe('observe: what the facts mean', () => {
  it('observe: ready before anything was launched is refused', () => {
    const row = through(requestedRow(), FACTS.preparing, FACTS.starting)
    assert.equal(isLaunched(row), false)
    assert.equal(resultOf(row, FACTS.ready), 'refused')
  })

  it('observe: another starting fact cannot replace the ports of a launch under way', () => {
    const row = through(requestedRow(), FACTS.preparing, FACTS.starting)
    assert.equal(resultOf(row, { ...FACTS.starting, leases: [lease(29_999)] }), 'refused')
  })

  it('observe: exit 0 after ready is stopped, before ready it is failed', () => {
    const exit = { code: 0, signal: null, oom: false }
    assert.equal(resultOf(rowIn('running'), { ...FACTS.exited, exit }), 'stopped')
    const early = through(rowIn('starting'), { ...FACTS.exited, exit })
    assert.equal(early.record.state, 'failed')
    assert.equal(early.record.error?.code, 'HIVE_START_FAILED')
  })

  for (const [reason, exit] of [
    ['exited', { code: 3, signal: null, oom: false }],
    ['signal', { code: 139, signal: 'SIGSEGV', oom: false }],
    ['oom', { code: 137, signal: 'SIGKILL', oom: true }],
  ] as const) {
    it(`observe: an end says its reason ${reason}`, () => {
      const { record } = through(rowIn('running'), { ...FACTS.exited, exit })
      assert.deepEqual(record.exit, { ...exit, reason })
      assert.deepEqual([record.ready, record.pid, record.ended_at], [false, null, NOW])
    })
  }

  it('observe: an exit seen while stopping keeps what the cocoon said, with the reason of the stop', () => {
    for (const [by, reason] of [
      ['api', 'stopped'],
      ['restart', 'stopped'],
      ['idle', 'idle'],
      ['ttl', 'ttl'],
    ] as const) {
      const asked = changedRow(intend(rowIn('running'), { desired: 'stopped', by }))
      const row = through(asked, FACTS.stopping, FACTS.exited, { type: 'stopped', exit: null })
      assert.deepEqual(row.record.exit, { code: 7, signal: null, oom: false, reason })
    }
  })

  it('observe: the first end is final, every later one leaves exit, error and time alone', () => {
    const ends: readonly Fact[] = [FACTS.exited, FACTS.not_ready, FACTS.gone, FACTS.refused, FACTS.stopped]
    for (const state of ['stopped', 'rejected', 'failed', 'lost'] as const) {
      const row = rowIn(state)
      for (const fact of ends) {
        const step = observe(row, 1, fact, '2030-01-01T00:00:00.000Z')
        assert.notEqual(step.outcome, 'changed', `${fact.type} after ${state}`)
      }
    }
  })

  it('observe: a later exit fills in the one that was missing, and only once', () => {
    const asked = wished(rowIn('running'), { desired: 'stopped' })
    const row = through(asked, FACTS.stopping, { type: 'stopped', exit: null })
    assert.equal(row.record.exit, null)
    const filled = through(row, FACTS.exited)
    assert.deepEqual(filled.record, {
      ...row.record,
      exit: { code: 7, signal: null, oom: false, reason: 'stopped' },
      revision: row.record.revision + 1,
    })
    assert.equal(resultOf(filled, { ...FACTS.exited, exit: { code: 9, signal: null, oom: false } }), 'same')
  })

  it('observe: a runner that stayed away says so in exit and error', () => {
    const row = through(requestedRow(), FACTS.preparing, { ...FACTS.refused, unavailable: true })
    assert.deepEqual(row.record.exit, { code: 255, signal: null, reason: 'runner_unavailable', oom: false })
  })

  it('observe: another port forgets what was launched on the old one', () => {
    const row = through(rowIn('starting'), FACTS.ports)
    assert.deepEqual([isLaunched(row), row.handle, nextAction(row)], [false, null, 'launch'])
    assert.deepEqual(row.record.ports, [{ port: 20_001, host: '127.0.0.1', host_port: 20_001, protocol: 'tcp' }])
  })

  it('observe: an attempt is moved to other ports three times at most, the next attempt again', () => {
    const moved = (row: ServiceRow, port: number) =>
      observe(row, row.record.attempt, { type: 'ports', leases: [lease(port)] }, NOW)
    let row = rowIn('starting')
    for (const port of [1, 2, 3]) row = changedRow(moved(row, 20_000 + port))
    assert.equal(moved(row, 20_004).outcome, 'refused')
    const again = wished(through(row, FACTS.launched, FACTS.exited), { desired: 'running' })
    const second = through(again, FACTS.next_attempt, FACTS.preparing, FACTS.starting)
    assert.equal(moved(second, 20_004).outcome, 'changed')
  })

  it('observe: trouble changes no state, is said once, and is taken back', () => {
    const row = through(rowIn('running'), FACTS.trouble)
    assert.deepEqual(row.record.error, FACTS.trouble.error)
    assert.equal(row.record.state, 'running')
    assert.equal(through(row, { type: 'trouble', error: null }).record.error, null)
    assert.equal(through(row, FACTS.observed).record.error, null)
  })

  it('observe: removal gives everything back and keeps the last words', () => {
    const failed = rowIn('failed')
    const row = through(wished(failed, { desired: 'removed' }), FACTS.removed)
    assert.deepEqual([row.handle, row.endpoint, row.sealed, row.mayExist], [null, null, null, false])
    assert.deepEqual(row.leases, [{ ...lease(20_000), releasedAt: NOW }])
    assert.equal(row.removedAt, NOW, 'or the tombstone would stay for ever')
    assert.deepEqual([row.record.ports, row.record.exit], [[], failed.record.exit])
    assert.deepEqual(row.record.error, failed.record.error)
  })

  it('observe: a service that nobody wants removed is not removed', () => {
    for (const state of ['stopped', 'rejected', 'failed', 'lost'] as const) {
      assert.equal(resultOf(rowIn(state), FACTS.removed), 'refused')
      assert.equal(resultOf(wished(rowIn(state), { desired: 'removed' }), FACTS.removed), 'removed')
    }
  })

  it('observe: the next attempt begins afresh and keeps what a launch can use again', () => {
    for (const state of ['stopped', 'rejected', 'failed', 'lost'] as const) {
      const row = rowIn(state)
      const next = through(wished(row, { desired: 'running' }), FACTS.next_attempt)
      const { record } = next
      assert.deepEqual([record.state, record.attempt, record.restarts], ['requested', 2, 1])
      assert.deepEqual([record.exit, record.error, record.ended_at, record.ready_at, record.pid], Array(5).fill(null))
      assert.deepEqual([next.leases, next.handle, next.sealed], [row.leases, row.handle, row.sealed])
      assert.equal(isLaunched(next), false)
    }
  })

  it('observe: only what is unwanted or has to make room is stopped', () => {
    for (const state of ['requested', 'preparing', 'starting', 'running'] as const)
      for (const request of [
        { desired: 'stopped' },
        { desired: 'removed' },
        { desired: 'running', again: true },
      ] as const)
        assert.equal(resultOf(wished(rowIn(state), request), FACTS.stopping), 'stopping')
  })

  it('observe: a launch that was never begun cannot have launched', () => {
    const row = through(wished(requestedRow(), { desired: 'stopped' }), FACTS.stopping)
    assert.equal(resultOf(row, FACTS.launched), 'refused')
  })

  it('observe: an attempt that was taken back before it began does not begin', () => {
    const owed = wished(rowIn('failed'), { desired: 'running' })
    for (const desired of ['stopped', 'removed'] as const)
      assert.equal(resultOf(wished(owed, { desired }), FACTS.next_attempt), 'refused')
  })
})

describe('nextAction', () => {
  const expected: Readonly<Record<ServiceState, string>> = {
    requested: 'prepare',
    preparing: 'prepare',
    starting: 'await_ready',
    running: 'watch',
    stopping: 'stop',
    stopped: 'none',
    rejected: 'none',
    failed: 'none',
    lost: 'none',
    removed: 'none',
  }
  for (const state of SERVICE_STATES) {
    it(`nextAction: ${expected[state]} in state ${state}`, () =>
      assert.equal(nextAction(rowIn(state)), expected[state]))

    it(`nextAction: what is unwanted in state ${state} is stopped, then removed`, () => {
      const row = rowIn(state)
      if (state === 'removed') return assert.equal(nextAction(row), 'none')
      const unwanted = wished(row, { desired: 'removed' })
      const active = state === 'stopping' ? 'stop' : 'begin_stop'
      assert.equal(nextAction(unwanted), isEnded(state) ? 'remove' : active)
    })
  }

  it('nextAction: a handle of an older attempt does not count as launched', () => {
    const next = through(wished(rowIn('failed'), { desired: 'running' }), FACTS.next_attempt)
    const row = through(next, FACTS.preparing, FACTS.starting)
    assert.notEqual(row.handle, null)
    assert.equal(nextAction(row), 'launch')
  })
})
