import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boxText, nativeConfig, nativeText, problemsOf } from '../support/kind-texts.ts'

test('wake: without idle_timeout there is nothing to wake from, and the field is named', () => {
  for (const text of [
    nativeText({ wake: true }),
    boxText({ wake: true }),
    boxText({ wake: true, ttl: '1h' }, 'podman'),
  ]) {
    const problems = problemsOf(text)
    assert.deepEqual(
      problems.map(({ field }) => field),
      ['wake'],
    )
    assert.match(problems[0]?.right ?? '', /idle_timeout/)
  }
})

test('wake: with idle_timeout it is taken, and false needs none', () => {
  const { wake, idleTimeoutMs } = nativeConfig({ wake: true, idle_timeout: '1m' })
  assert.deepEqual([wake, idleTimeoutMs], [true, 60_000])
  assert.equal(nativeConfig({ wake: false }).wake, false)
  assert.equal(nativeConfig({ idle_timeout: '1m' }).wake, false)
})
