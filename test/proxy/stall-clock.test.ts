import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StallClock, type Timed } from '../../src/proxy/stall-clock.ts'
import { within } from '../support/deadline.ts'

/** Resolves at the so manieth look, with the times of all. */
function looks(clock: StallClock, count: number): { readonly timed: Timed; readonly seen: Promise<readonly number[]> } {
  const times: number[] = []
  const { promise, resolve } = Promise.withResolvers<readonly number[]>()
  const timed: Timed = {
    slot: -1,
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

test('property: whoever comes and goes in whatever order, exactly those who are there are looked at', async () => {
  const clock = new StallClock([10])
  const run = fc.asyncProperty(fc.array(fc.nat(9), { maxLength: 60 }), async (moves) => {
    const counts = new Array<number>(10).fill(0)
    const all = counts.map((_, at): Timed => ({ slot: -1, look: () => (counts[at] = (counts[at] ?? 0) + 1) }))
    const present = new Set<number>()
    for (const at of moves) {
      const timed = all[at] ?? assert.fail()
      if (present.delete(at)) clock.delete(timed)
      else {
        present.add(at)
        clock.add(timed)
      }
    }
    await looks(clock, 1).seen
    assert.deepEqual(
      counts.flatMap((count, at) => (count > 0 ? [at] : [])),
      [...present].sort(),
    )
    for (const at of present) clock.delete(all[at] ?? assert.fail())
    clock.delete(all[0] ?? assert.fail())
  })
  await fc.assert(run, { numRuns: 30 })
})
