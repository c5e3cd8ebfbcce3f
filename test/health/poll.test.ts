import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pollUntil } from '../../src/health/poll.ts'

it('pollUntil: asks until the answer is yes and then no more', async () => {
  let asked = 0
  await pollUntil(async () => ++asked === 4, new AbortController().signal)
  assert.equal(asked, 4)
})

it('pollUntil: one question at a time', async () => {
  let [asking, most, asked] = [0, 0, 0]
  await pollUntil(async () => {
    most = Math.max(most, ++asking)
    await new Promise((resolve) => setImmediate(resolve))
    asking--
    return ++asked === 5
  }, new AbortController().signal)
  assert.equal(most, 1)
})

it('pollUntil: an abort ends it, before the first question or between two', async () => {
  await assert.rejects(
    pollUntil(async () => false, AbortSignal.abort()),
    { name: 'AbortError' },
  )
  const abort = new AbortController()
  let asked = 0
  const polling = pollUntil(async () => {
    if (++asked === 3) abort.abort()
    return false
  }, abort.signal)
  await assert.rejects(polling, { name: 'AbortError' })
  assert.equal(asked, 3)
})

it('pollUntil: what the question throws is thrown', async () => {
  const wrong = new Error('the engine is down')
  await assert.rejects(
    pollUntil(async () => Promise.reject(wrong), new AbortController().signal),
    wrong,
  )
})
