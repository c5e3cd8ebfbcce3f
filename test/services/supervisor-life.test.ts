import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../support/deadline.ts'
import { type FakeBehaviour, FakeRunner } from '../support/fake-driver.ts'
import { containerKind, scriptKind } from '../support/service-row.ts'
import { openSupervisor } from '../support/supervisor.ts'

const exit = (code: number) => ({ code, signal: null, oom: false })
const starts = (runner: FakeRunner) => runner.calls.filter((call) => call.startsWith('start ')).length

function runnerOf(behaviour: FakeBehaviour): FakeRunner {
  return new FakeRunner({ behave: () => behaviour })
}

describe('an attempt', { concurrency: 4 }, () => {
  it('F58: exit 0 after ready is stopped, and stays so', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    await bench.runner.exit(row.record.id, exit(0))
    const { record } = await bench.in(row, 'stopped')
    assert.deepEqual(record.exit, { ...exit(0), reason: 'exited' })
    assert.deepEqual([record.ready, record.pid, bench.view.lookup('web').answer], [false, null, 'ended'])
    assert.equal(starts(bench.runner), 1)
  })

  it('exit 7 after ready is failed, with the code', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.runner.exit(row.record.id, exit(7))
    const { record } = await bench.in(row, 'failed')
    assert.deepEqual([record.exit, record.error], [{ ...exit(7), reason: 'exited' }, null])
  })

  for (const code of [0, 7]) {
    it(`exit ${code} before ready is failed, with HIVE_START_FAILED`, async (t) => {
      const bench = await openSupervisor(t, { runner: runnerOf({ listens: false, exit: exit(code) }) })
      const { record } = await bench.in(await bench.spawn(), 'failed')
      assert.deepEqual([record.exit?.code, record.error?.code], [code, 'HIVE_START_FAILED'])
      assert.equal(starts(bench.runner), 1)
    })
  }

  it('without a declared port, started is running, and exit 0 right away is stopped', async (t) => {
    const kinds = [scriptKind('native', { port: null })]
    const bench = await openSupervisor(t, { kinds, runner: runnerOf({ listens: false }) })
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    assert.equal(bench.view.lookup('web').answer, 'waiting', 'its listener has not been seen')
    bench.runner.listen(row.record.id)
    await bench.when(row, () => true)
    await until(() => bench.view.lookup('web').answer === 'open', 3_000, 'an open route')
    const early = await openSupervisor(t, { kinds, runner: runnerOf({ exit: exit(0) }) })
    await early.in(await early.spawn(), 'stopped')
  })

  it('F40: one that never listens is failed with not_ready, and nothing is left running', async (t) => {
    const kinds = [scriptKind('native', { readyTimeoutMs: 60 })]
    const bench = await openSupervisor(t, { kinds, runner: runnerOf({ listens: false }) })
    const { record } = await bench.in(await bench.spawn({ name: 'web' }), 'failed')
    assert.deepEqual(
      [record.exit?.reason, record.exit?.code, record.error?.code],
      ['not_ready', 143, 'HIVE_START_FAILED'],
    )
    assert.match(record.error?.detail ?? '', /port \d+ within ready_timeout \(0\.06 s\)/)
    assert.equal(bench.runner.running(record.id), 0)
  })

  it('F40: one that listens late, but in time, is ready', async (t) => {
    const bench = await openSupervisor(t, { runner: runnerOf({ listens: false }) })
    const row = await bench.in(await bench.spawn(), 'starting')
    await bench.when(row, ({ handle }) => handle !== null)
    bench.runner.listen(row.record.id)
    await bench.in(row, 'running')
  })

  it('one that listens when the time is up is ready, although nobody could ask before', async (t) => {
    const runner = runnerOf({ listens: false })
    const bench = await openSupervisor(t, { runner, kinds: [scriptKind('native', { readyTimeoutMs: 100 })] })
    const row = await bench.when(await bench.spawn(), ({ handle }) => handle !== null)
    const release = runner.hold('listens')
    runner.listen(row.record.id)
    const asked = () => runner.calls.filter((call) => call.startsWith('listens')).length
    const before = asked()
    // One question hangs until the time is up; only then the last one is asked.
    await until(() => asked() === before + 2, 3_000, 'the last question')
    release()
    await bench.in(row, 'running')
    assert.equal(
      runner.calls.some((call) => call.startsWith('stop ')),
      false,
    )
  })

  it('F36: one that vanishes is lost after two denials that lie apart, not after one', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    const since = performance.now()
    await bench.runner.vanish(row.record.id)
    const { record } = await bench.in(row, 'lost')
    assert.ok(performance.now() - since >= 1_990, 'the two denials must lie 2 s apart')
    assert.deepEqual(record.exit, { code: 255, signal: null, reason: 'lost', oom: false })
    assert.ok(bench.runner.calls.filter((call) => call.startsWith('inspect ')).length >= 3)
  })
})

describe('stop, start and restart', { concurrency: 4 }, () => {
  it('F58: a stop sticks, over a restart of Hive, too', async (t) => {
    const first = await openSupervisor(t)
    const row = await first.in(await first.spawn({ name: 'web' }), 'running')
    await first.intend(row, { desired: 'stopped' })
    const { record } = await first.in(row, 'stopped')
    assert.deepEqual(record.exit, { code: 143, signal: 'SIGTERM', reason: 'stopped', oom: false })
    await first.close()
    const second = await openSupervisor(t, { runner: first.runner, directory: first.directory ?? '' })
    await second.reconcile()
    assert.equal(second.now(row).record.state, 'stopped')
    assert.equal(starts(first.runner), 1)
  })

  it('start after a stop is attempt 2 with the same ports and the old handle', async (t) => {
    const bench = await openSupervisor(t)
    const first = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    await bench.intend(first, { desired: 'stopped' })
    await bench.in(first, 'stopped')
    await bench.intend(first, { desired: 'running' })
    const second = await bench.in(first, 'running')
    const { record } = second
    assert.deepEqual([record.attempt, record.restarts, record.exit], [2, 1, null])
    assert.deepEqual(record.ports, first.record.ports)
    const answer = bench.view.lookup('web')
    assert.equal(answer.answer === 'open' && answer.route.attempt, 2)
    assert.equal(bench.runner.running(record.id), 1)
  })

  it('start works from every end', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    for (const [attempt, code] of [
      [2, 0],
      [3, 7],
    ] as const) {
      await bench.runner.exit(row.record.id, exit(code))
      await bench.when(row, ({ record }) => record.ended_at !== null)
      await bench.intend(row, { desired: 'running' })
      await bench.when(row, ({ record }) => record.attempt === attempt && record.ready)
    }
  })

  it('restart ends the running attempt and launches the next', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    const closed: unknown[] = []
    bench.view.onClosed((what) => closed.push(what))
    await bench.intend(row, { desired: 'running', again: true })
    const next = await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    assert.deepEqual(next.record.ports, row.record.ports)
    assert.deepEqual(closed, [{ id: row.record.id, attempt: 1 }])
    assert.equal(bench.runner.running(row.record.id), 1)
    assert.equal(starts(bench.runner), 2)
  })

  it('many restarts at once are one, and many stops and starts end as the last one says', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    await Promise.all(Array.from({ length: 20 }, () => bench.intend(row, { desired: 'running', again: true })))
    await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    const wishes = Array.from({ length: 21 }, (_, n) => (n % 2 === 0 ? 'stopped' : 'running'))
    for (const desired of wishes) await bench.intend(row, { desired })
    const { record } = await bench.when(row, (seen) => seen.record.state === 'stopped')
    assert.equal(record.desired, 'stopped')
    assert.equal(bench.runner.running(row.record.id), 0)
  })

  it('a stop while the exit is being noticed does not launch, and keeps the code', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    const [stopped] = await Promise.all([
      bench.intend(row, { desired: 'stopped' }),
      bench.runner.exit(row.record.id, exit(9)),
    ])
    assert.equal(stopped.record.desired, 'stopped')
    const { record } = await bench.when(row, (seen) => seen.record.ended_at !== null)
    assert.equal(record.exit?.code, 9)
    assert.equal(starts(bench.runner), 1)
  })

  it('the exit of an earlier attempt is not taken for that of one that was stopped before its launch', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.runner.exit(row.record.id, exit(7))
    await bench.in(row, 'failed')
    bench.runner.hold('prepare')
    await bench.intend(row, { desired: 'running' })
    await bench.in(row, 'preparing')
    await bench.intend(row, { desired: 'stopped' })
    const { record } = await bench.when(row, (seen) => seen.record.state === 'stopped')
    assert.deepEqual([record.attempt, record.exit], [2, null])
  })

  it('recreate reaches the driver for one attempt, and gives other ports', async (t) => {
    const recreated: boolean[] = []
    const runner = new FakeRunner({
      type: 'docker',
      behave: (spec) => {
        recreated.push(spec.recreate)
        return {}
      },
    })
    const kinds = [containerKind('box', { ports: [{ port: 80, hostPort: null }] })]
    const bench = await openSupervisor(t, { runner, kinds })
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.intend(row, { desired: 'running', again: true, recreate: true })
    const second = await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    assert.notEqual(second.record.ports[0]?.host_port, row.record.ports[0]?.host_port)
    await bench.intend(row, { desired: 'running', again: true })
    const third = await bench.when(row, ({ record }) => record.attempt === 3 && record.ready)
    assert.deepEqual(third.record.ports, second.record.ports)
    assert.deepEqual(recreated, [false, true, false])
  })
})
