import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { churnOnce } from '../support/crash/scenario.ts'
import { ALL, notDrawn, SEED } from '../support/crash/seed.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { within } from '../support/deadline.ts'

const PROGRAM = [new URL('../support/fixtures/failpoint-hive.ts', import.meta.url).pathname]

/** Runs the churn until Hive dies at the point, then lets the real server take over. */
async function dieAt(world: World, point: string, skip = 0): Promise<void> {
  const env = { CRASH_POINT: point, CRASH_SKIP: String(skip) }
  const first = await world.start({ program: PROGRAM, env })
  const whole = await churnOnce(world.client(first), 'script')
  assert.equal(whole, false, `the point ${point} (${skip}) was never reached`)
  const { signal } = await within(first.ended, 5_000, 'the death of Hive')
  assert.equal(signal, 'SIGKILL')
  const second = await world.start()
  await world.check(second)
}

/** What may happen between two durable steps, by row of the fault matrix. By default one of each row is drawn. */
const POINTS = [
  [
    ['F1: after the intent is durable, before the launch', 'after write running requested#1'],
    ['F1: just before the launch', 'before start'],
  ],
  [['F2: after the launch, before its handle is durable', 'after start']],
  [['F3: after the handle is durable, before running is', 'before write running running#1']],
  [
    ['F4: after the wish to remove is durable, before the removal', 'after write removed stopped#2'],
    ['F4: after the removal, before its tombstone', 'after remove'],
    ['F4: after the tombstone', 'after write removed removed#2'],
  ],
] as const

describe(`Hive dies between two steps (${ALL ? 'all' : `sample of seed ${SEED}`})`, () => {
  for (const row of POINTS) {
    const skip = notDrawn(1, row.length)
    for (const [index, [title, point]] of row.entries())
      it(title, { skip: skip(index) }, async (t: TestContext) => {
        await dieAt(await worldOf(t), point)
      })
  }
})
