import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RESTART } from '../../src/kinds/restart-policy.ts'
import { boxConfig, boxText, nativeConfig, nativeText, problemsOf } from '../support/kind-texts.ts'

test('restart: a policy by name has the budget and the back-off of the design', () => {
  assert.deepEqual(nativeConfig({}).restart, DEFAULT_RESTART)
  assert.deepEqual(DEFAULT_RESTART, {
    policy: 'on-failure',
    maxAttempts: 5,
    windowMs: 600_000,
    backoffMinMs: 1_000,
    backoffMaxMs: 60_000,
  })
  for (const policy of ['never', 'on-failure', 'always'] as const)
    assert.deepEqual(nativeConfig({ restart: policy }).restart, { ...DEFAULT_RESTART, policy })
  assert.equal(boxConfig({ restart: 'unless-stopped' }).restart.policy, 'always')
})

test('restart: each part can be said, and a long least back-off raises the most', () => {
  const said = { policy: 'always', max_attempts: 2, window: '30s', backoff_min: '10ms', backoff_max: '20ms' }
  assert.deepEqual(nativeConfig({ restart: said }).restart, {
    policy: 'always',
    maxAttempts: 2,
    windowMs: 30_000,
    backoffMinMs: 10,
    backoffMaxMs: 20,
  })
  assert.equal(nativeConfig({ restart: { policy: 'always', backoff_min: '2m' } }).restart.backoffMaxMs, 120_000)
})

const refused: readonly (readonly [unknown, string])[] = [
  ['sometimes', 'restart'],
  [true, 'restart'],
  [null, 'restart'],
  [[], 'restart'],
  [{ policy: 'no' }, 'restart.policy'],
  [{ max_attempts: 1 }, 'restart'],
  [{ policy: 'always', max_attempts: 0 }, 'restart.max_attempts'],
  [{ policy: 'always', window: '1ms' }, 'restart.window'],
  [{ policy: 'always', backoff_min: '2s', backoff_max: '1s' }, 'restart.backoff_max'],
  [{ policy: 'always', tries: 1 }, 'restart'],
]

for (const [value, field] of refused) {
  test(`restart: ${JSON.stringify(value)} is refused by entry and field`, () => {
    for (const text of [boxText, nativeText]) {
      const problems = problemsOf(text({ restart: value }))
      assert.ok(
        problems.some((problem) => problem.entry === 1 && problem.field === field),
        JSON.stringify(problems),
      )
    }
  })
}
