import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Backoff } from '../../src/services/actions/backoff.ts'

it('backoff: doubles up to its limit with at most a quarter of jitter, and begins anew after a reset', () => {
  const backoff = new Backoff(500, 30_000)
  const expected = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
  for (let round = 0; round < 3; round++) {
    for (const base of expected) {
      const ms = backoff.next()
      assert.ok(ms >= base && ms <= base * 1.25, `${ms} for ${base}`)
    }
    backoff.reset()
  }
})

it('backoff: stays finite however often it is asked', () => {
  const backoff = new Backoff(1, 1_000)
  for (let n = 0; n < 5_000; n++) assert.ok(backoff.next() <= 1_250)
})

it('backoff: waiting ends with an abort', async () => {
  const abort = new AbortController()
  const waiting = new Backoff(60_000, 60_000).wait(abort.signal)
  abort.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  await assert.rejects(new Backoff(60_000, 60_000).wait(AbortSignal.abort()), { name: 'AbortError' })
})
