import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StallClock, type Timed } from '../../src/proxy/stall-clock.ts'
import { within } from '../support/deadline.ts'

/** Resolves at the so manieth look, with the times of all. */
function looks(clock: StallClock, count: number): { readonly timed: Timed; readonly seen: Promise<readonly number[]> } {
  const times: number[] = []
  const { promise, resolve } = Promise.withResolvers<readonly number[]>()
  const timed: Timed = {
    look(nowMs) {
      times.push(nowMs)
      if (times.length < count) return
      clock.delete(timed)
      resolve(times)
    },
  }
  clock.add(timed)
  return { timed, seen: within(promise, 10_000, 'the looks') }
}

test('a clock looks again and again, and not any more at what has left', async () => {
  const clock = new StallClock([20])
  const first = looks(clock, 3)
  const times = await first.seen
  assert.deepEqual(
    times.toSorted((left, right) => left - right),
    times,
  )
  await looks(clock, 3).seen
  assert.equal(times.length, 3)
})

test('a clock that stood still for want of work goes again', async () => {
  const clock = new StallClock([10])
  await looks(clock, 1).seen
  await new Promise(setImmediate)
  await looks(clock, 2).seen
})

test('what leaves during a look takes nobody with it', async () => {
  const clock = new StallClock([10])
  const seen = [1, 2, 3].map((count) => looks(clock, count).seen)
  assert.deepEqual(
    (await Promise.all(seen)).map((times) => times.length),
    [1, 2, 3],
  )
})
