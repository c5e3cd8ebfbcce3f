import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Desired,
  ENDED_STATES,
  type IntentBy,
  isEnded,
  SERVICE_STATES,
  type ServiceRow,
  type ServiceState,
} from '../../src/services/state/record.ts'
import { intend, nextAction, type Step } from '../../src/services/state/step.ts'
import { changedRow, FACTS, NOW, rowIn, through, wished } from '../support/service-row.ts'

const REQUESTS = {
  start: { desired: 'running', by: 'api' },
  restart: { desired: 'running', by: 'api', again: true },
  stop: { desired: 'stopped', by: 'api' },
  remove: { desired: 'removed', by: 'api' },
} as const

/** `target` = the attempt that is owed afterwards. */
type Expected = 'same' | 'refused' | { readonly desired: Desired; readonly target: number }

function expectedOf(state: ServiceState, desired: Desired, verb: keyof typeof REQUESTS): Expected {
  if (state === 'removed') return verb === 'remove' ? 'same' : 'refused'
  if (desired === 'removed') return verb === 'remove' ? 'same' : 'refused'
  if (verb === 'remove') return { desired: 'removed', target: 1 }
  if (verb === 'stop') return desired === 'stopped' ? 'same' : { desired: 'stopped', target: 1 }
  const goesOn = desired === 'running' && !isEnded(state)
  return verb === 'start' && goesOn ? 'same' : { desired: 'running', target: 2 }
}

function reached(state: ServiceState, desired: Desired) {
  const row = rowIn(state)
  if (row.record.desired === desired) return row
  return { ...row, record: { ...row.record, desired } }
}

function seen(step: Step): Expected {
  if (step.outcome !== 'changed') return step.outcome
  return { desired: step.row.record.desired, target: step.row.targetAttempt }
}

describe('intend: every state, every wish so far and every request', () => {
  for (const state of SERVICE_STATES) {
    for (const desired of ['running', 'stopped', 'removed'] as const) {
      for (const [verb, request] of Object.entries(REQUESTS)) {
        const expected = expectedOf(state, desired, verb as keyof typeof REQUESTS)
        it(`intend: ${verb} of a ${state} service wanted ${desired} gives ${JSON.stringify(expected)}`, () => {
          const row = reached(state, desired)
          const step = intend(row, request)
          assert.deepEqual(seen(step), expected)
          if (step.outcome !== 'changed') return
          assert.equal(step.row.record.state, state, 'a wish alone moves no state')
          assert.equal(step.row.record.revision, row.record.revision + 1)
          assert.equal(intend(step.row, verb === 'restart' ? REQUESTS.restart : request).outcome, 'same')
        })
      }
    }
  }
})

describe('intend', () => {
  it('intend: a stop sticks: an attempt that is owed is not owed any more for as long as nobody starts it', () => {
    const row = wished(wished(rowIn('running'), { desired: 'running', again: true }), { desired: 'stopped' })
    assert.equal(nextAction(row), 'begin_stop')
    const stopped = through(row, FACTS.stopping, FACTS.stopped)
    assert.equal(nextAction(stopped), 'none')
    const started = wished(stopped, { desired: 'running' })
    assert.equal(nextAction(started), 'next_attempt')
    assert.equal(through(started, FACTS.next_attempt).record.attempt, 2)
  })

  it('intend: start while stopping launches a new attempt after the stop', () => {
    const row = wished(rowIn('stopping'), { desired: 'running' })
    assert.equal(nextAction(row), 'stop')
    assert.equal(nextAction(through(row, FACTS.stopped)), 'next_attempt')
  })

  it('intend: two restarts before the next attempt are one', () => {
    const once = wished(rowIn('running'), { desired: 'running', again: true })
    assert.equal(intend(once, REQUESTS.restart).outcome, 'same')
  })

  it('intend: volumes once asked for are removed, whatever a later DELETE says', () => {
    const row = wished(rowIn('running'), { desired: 'removed', volumes: true })
    assert.equal(intend(row, REQUESTS.remove).outcome, 'same')
    const late = wished(wished(rowIn('running'), { desired: 'removed' }), { desired: 'removed', volumes: true })
    assert.equal(late.intent.volumes, true)
  })

  it('intend: a recreate asked for while the next attempt is due is not forgotten', () => {
    const due = wished(rowIn('running'), { desired: 'running', again: true })
    const recreated = wished(due, { desired: 'running', again: true, recreate: true })
    assert.equal(recreated.intent.recreate, true)
    assert.equal(intend(recreated, REQUESTS.restart).outcome, 'same')
  })

  it('intend: a recreate counts for one attempt only', () => {
    const first = wished(rowIn('running'), { desired: 'running', again: true, recreate: true })
    const stopped = through(first, FACTS.stopping, FACTS.stopped, FACTS.next_attempt)
    const second = through(stopped, FACTS.preparing, FACTS.starting, FACTS.launched, FACTS.ready)
    assert.equal(second.intent.recreate, true, 'still true while its own attempt may be launched again')
    assert.equal(wished(second, { desired: 'running', again: true }).intent.recreate, false)
    assert.equal(
      intend(second, { ...REQUESTS.start, recreate: true }).outcome,
      'same',
      'a running one has nothing to recreate',
    )
  })

  it('intend: removal is asked for in every living state and leads through a stop where something may run', () => {
    for (const state of SERVICE_STATES.filter((one) => one !== 'removed')) {
      let row = wished(rowIn(state), { desired: 'removed' })
      const taken: string[] = []
      for (let steps = 0; nextAction(row) !== 'none' && steps < 5; steps++) {
        const action = nextAction(row)
        taken.push(action)
        const fact = { begin_stop: FACTS.stopping, stop: FACTS.stopped, remove: FACTS.removed }[action as 'stop']
        row = through(row, fact)
      }
      const before = state === 'stopping' ? ['stop'] : ['begin_stop', 'stop']
      assert.deepEqual(taken, [...(ENDED_STATES.includes(state) ? [] : before), 'remove'], state)
      assert.equal(row.record.state, 'removed')
    }
  })

  it('intend: who asked and why stand in the row', () => {
    const row = changedRow(
      intend(rowIn('running'), { desired: 'stopped', by: 'idle', reason: '10 m without a request' }),
    )
    assert.deepEqual(row.intent, { by: 'idle', reason: '10 m without a request', volumes: false, recreate: false })
  })

  it('F58: a stop by a user on top of one by idleness is a user’s stop: no request undoes it', () => {
    const idle = wishedBy(rowIn('running'), 'stopped', 'idle')
    const asleep = through(idle, FACTS.stopping, FACTS.stopped)
    for (const row of [idle, through(idle, FACTS.stopping), asleep]) {
      assert.equal(intend(row, { desired: 'running', by: 'wake' }).outcome, 'changed', row.record.state)
      for (const by of ['api', 'signaling', 'shutdown'] as const) {
        const firm = wishedBy(row, 'stopped', by)
        assert.deepEqual([firm.intent.by, firm.record.desired], [by, 'stopped'])
        assert.equal(intend(firm, { desired: 'running', by: 'wake' }).outcome, 'refused', `${row.record.state} ${by}`)
        assert.equal(intend(firm, { desired: 'stopped', by: 'idle' }).outcome, 'refused', 'it cannot become idle again')
        assert.equal(intend(firm, { desired: 'stopped', by }).outcome, 'same')
      }
    }
  })

  it('intend: a wake is refused for whatever was not stopped as idle', () => {
    for (const state of SERVICE_STATES) {
      assert.equal(intend(rowIn(state), { desired: 'running', by: 'wake' }).outcome, 'refused', state)
      const removed = intend(rowIn(state), { desired: 'removed', by: 'api' })
      const gone = removed.outcome === 'changed' ? removed.row : rowIn(state)
      assert.equal(intend(gone, { desired: 'running', by: 'wake' }).outcome, 'refused', `${state}, being removed`)
    }
  })

  it('intend: one whose provider moved is started again only if it still runs, and its restarts are not forgiven', () => {
    const moved = { desired: 'running', again: true, by: 'uses', reason: 'db has another address' } as const
    const charged = [NOW]
    const running = { ...rowIn('running'), restart: { charged, waits: 1, forgiven: 0 } }
    const row = changedRow(intend(running, moved))
    assert.deepEqual([row.targetAttempt, row.restart.charged, nextAction(row)], [2, charged, 'begin_stop'])
    assert.equal(intend(row, moved).outcome, 'refused', 'it is under way')
    for (const state of SERVICE_STATES.filter((one) => one !== 'running'))
      assert.equal(intend(rowIn(state), moved).outcome, 'refused', state)
    assert.equal(
      intend(wished(running, { desired: 'stopped' }), moved).outcome,
      'refused',
      'a wish by hand comes first',
    )
  })
})

function wishedBy(row: ServiceRow, desired: Desired, by: IntentBy): ServiceRow {
  return changedRow(intend(row, { desired, by }))
}
