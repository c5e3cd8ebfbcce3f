import assert from 'node:assert/strict'
import { describe, it, type TestContext, test } from 'node:test'
import type { RunnerDriver } from '../../src/runners/driver.ts'
import { idleOver } from '../../src/services/actions/idle-watch.ts'
import type { ActionContext } from '../../src/services/context.ts'
import { ServiceView } from '../../src/services/view.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { rowIn, scriptKind } from '../support/service-row.ts'
import { openSupervisor } from '../support/supervisor.ts'

const IDLE_MS = 40

/** The watch over one running cocoon, on a monotonic clock that only the test moves. */
function watchOnOwnClock(t: TestContext) {
  const row = rowIn('running', { kind: scriptKind('native', { idleTimeoutMs: IDLE_MS }) })
  let clock = 1_000
  t.mock.method(performance, 'now', () => clock)
  const view = new ServiceView()
  view.publish(row)
  let looks = 0
  const context = {
    parts: { view, clock: { now: () => new Date() } },
    driver: {},
    row: () => {
      looks++
      return row
    },
  } as unknown as ActionContext
  const stop = new AbortController()
  t.after(() => stop.abort())
  let reason: string | null = null
  const over = idleOver(context, row.handle ?? assert.fail(), stop.signal).then(
    (text) => {
      reason = text
    },
    () => undefined,
  )
  return {
    id: row.record.id,
    view,
    over,
    reason: () => reason,
    advance: (ms: number) => {
      clock += ms
    },
    /** Until the watch has looked at the clock again, a few times. `until` itself would stand still. */
    async looked() {
      for (const from = looks; looks < from + 6; ) await new Promise((resolve) => setTimeout(resolve, 2))
    },
  }
}

/** A runner that takes its time to notice that nobody waits for the end any more, as an engine may. */
function lingering(driver: RunnerDriver): RunnerDriver {
  const wait: RunnerDriver['wait'] = (handle, signal) =>
    driver.wait(handle, signal).finally(() => new Promise((resolve) => setTimeout(resolve, 100)))
  return { ...driver, wait }
}

test('a request that comes in the very moment of the decision is held, and answered by the next attempt', async (t) => {
  const runner = new FakeRunner()
  const kind = scriptKind('native', { idleTimeoutMs: IDLE_MS, wake: true })
  const bench = await openSupervisor(t, { runner, drivers: [lingering(runner.driver())], kinds: [kind] })
  const row = await bench.spawn({ name: 'web' })
  const asleep = () => {
    const answer = bench.view.lookup('web')
    return answer.answer === 'sleeping' ? answer : null
  }
  const answer = await until(asleep, 10_000, 'the decision')
  await answer.wake(AbortSignal.timeout(10_000))
  const { record } = bench.now(row)
  assert.deepEqual([record.state, record.attempt], ['running', 2])
})

describe('idleOver', () => {
  for (const cause of ['request', 'tunnel', 'touch', 'cpu'] as const)
    it(`activity (${cause}) 1 ms before the deadline gives the whole time again, and not a millisecond more`, async (t) => {
      const watch = watchOnOwnClock(t)
      await watch.looked()
      watch.advance(IDLE_MS - 1)
      await watch.looked()
      watch.view.activity.note(watch.id, cause)
      watch.advance(1)
      await watch.looked()
      assert.equal(watch.reason(), null, 'the first deadline has passed')
      watch.advance(IDLE_MS - 2)
      await watch.looked()
      assert.equal(watch.reason(), null, '1 ms before the second')
      watch.advance(1)
      await watch.over
      assert.match(watch.reason() ?? '', /nothing used it for 0.04 s/)
    })

  it('a request that waits for its answer keeps it alive, however long', async (t) => {
    const watch = watchOnOwnClock(t)
    await watch.looked()
    const sink = watch.view.activity.sink(watch.id)
    sink.begin()
    watch.advance(100 * IDLE_MS)
    await watch.looked()
    assert.equal(watch.reason(), null)
    sink.end()
    watch.advance(IDLE_MS - 1)
    await watch.looked()
    assert.equal(watch.reason(), null)
    watch.advance(1)
    await watch.over
    assert.notEqual(watch.reason(), null)
  })
})
