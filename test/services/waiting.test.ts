import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SERVICE_STATES, type ServiceState } from '../../src/services/state/record.ts'
import { isHopeless, isOver, isReady, type WaitFor } from '../../src/services/waiting.ts'
import { rowIn, wished } from '../support/service-row.ts'

const OVER: Readonly<Record<WaitFor, readonly ServiceState[]>> = {
  ready: ['running', 'stopped', 'rejected', 'failed', 'lost', 'removed'],
  running: ['running', 'stopped', 'rejected', 'failed', 'lost', 'removed'],
  stopped: ['stopped', 'rejected', 'failed', 'lost', 'removed'],
  gone: ['removed'],
}

describe('waiting', () => {
  for (const [wanted, states] of Object.entries(OVER) as [WaitFor, readonly ServiceState[]][]) {
    it(`isOver: waiting for ${wanted} is over in exactly ${states.join(', ')}`, () => {
      for (const state of SERVICE_STATES) assert.equal(isOver(rowIn(state), wanted), states.includes(state), state)
    })
  }

  it('isReady, isOver: a restart that was asked for is waited for, although the old attempt still runs', () => {
    const row = wished(rowIn('running'), { desired: 'running', again: true })
    assert.deepEqual([isReady(row), isOver(row, 'ready'), isHopeless(row)], [false, false, false])
  })

  it('isHopeless: an ended service is hopeless unless a further attempt is owed', () => {
    for (const state of ['stopped', 'rejected', 'failed', 'lost'] as const) {
      const row = rowIn(state)
      assert.equal(isHopeless(row), true, state)
      const started = wished(row, { desired: 'running' })
      assert.equal(isHopeless(started), false, state)
      assert.equal(isHopeless(wished(started, { desired: 'stopped' })), true, state)
      assert.equal(isOver(wished(row, { desired: 'removed' }), 'ready'), true, state)
    }
  })

  it('isHopeless: a restart that is planned is hope, until somebody stops or removes the service', () => {
    const row = rowIn('failed')
    const planned = { ...row, record: { ...row.record, next_attempt_at: '2030-01-01T00:00:00.000Z' } }
    assert.deepEqual([isHopeless(planned), isOver(planned, 'ready'), isOver(planned, 'stopped')], [false, false, true])
    assert.equal(isHopeless(wished(planned, { desired: 'stopped' })), true)
    assert.equal(isOver(wished(planned, { desired: 'removed' }), 'ready'), true)
  })
})
