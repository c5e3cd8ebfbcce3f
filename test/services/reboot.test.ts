import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RestartPolicy } from '../../src/kinds/kind.ts'
import type { Fact } from '../../src/services/state/fact.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { nextAction, observe } from '../../src/services/state/step.ts'
import { changedRow, FACTS, NOW, rowIn, wished } from '../support/service-row.ts'

const GONE: Fact = { type: 'gone', rebooted: true }
const ENDED: Fact = { ...FACTS.exited, exit: { code: 0, signal: null, oom: false }, rebooted: true }

function policy(row: ServiceRow, policy: RestartPolicy['policy']): ServiceRow {
  return { ...row, config: { ...row.config, restart: { ...row.config.restart, policy } } }
}

function after(row: ServiceRow, fact: Fact): ServiceRow {
  return changedRow(observe(row, row.record.attempt, fact, NOW))
}

describe('the host was restarted', () => {
  for (const state of ['running', 'starting'] as const)
    for (const [how, fact] of [
      ['vanished', GONE],
      ['ended with 0', ENDED],
    ] as const)
      it(`F17: what was ${state} and ${how} is launched again at once, uncharged`, () => {
        const row = after(policy(rowIn(state), 'on-failure'), fact)
        assert.equal(row.record.state, fact.type === 'gone' ? 'lost' : state === 'running' ? 'stopped' : 'failed')
        assert.deepEqual(
          [nextAction(row), row.targetAttempt, row.record.next_attempt_at, row.restart.charged, row.intent.by],
          ['next_attempt', 2, null, [], 'restart'],
        )
      })

  it('F17: what was wanted stopped, or must never be restarted, ends and stays so', () => {
    const unwanted = wished(policy(rowIn('running'), 'always'), { desired: 'stopped' })
    assert.equal(after(unwanted, GONE).targetAttempt, 1)
    const row = after(policy(rowIn('running'), 'never'), GONE)
    assert.deepEqual([row.record.state, nextAction(row)], ['lost', 'none'])
  })
})
