import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boxText, problemsOf } from '../support/kind-texts.ts'

test('user "auto" of a container is refused with the reason', () => {
  const [problem, ...more] = problemsOf(boxText({ user: 'auto' }))
  assert.equal(problem?.field, 'user')
  assert.match(problem.wrong, /does not act on it yet/)
  assert.equal(more.length, 0)
})
