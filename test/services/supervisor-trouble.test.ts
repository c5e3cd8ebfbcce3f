import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { LaunchRefused, type LaunchSpec, RunnerUnreachable } from '../../src/runners/driver.ts'
import { RUNNER_PATIENCE_MS } from '../../src/services/actions/trouble.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { freePort } from '../support/free-port.ts'
import { containerKind, scriptKind } from '../support/service-row.ts'
import { openSupervisor, type SupervisorBench, TestClock } from '../support/supervisor.ts'

const down = () => new RunnerUnreachable('the fake engine is down')
const portTaken = () => new LaunchRefused('port is taken', { reason: 'port' })
const calls = (bench: SupervisorBench, call: string) =>
  bench.runner.calls.filter((one) => one.startsWith(`${call} `)).length
const hostPort = (row: { readonly record: { readonly ports: readonly { readonly host_port: number }[] } }) =>
  row.record.ports[0]?.host_port ?? assert.fail('it has no port')

describe('a runner that does not answer', { concurrency: 4 }, () => {
  it('F31: changes no state of what runs, is said, and is taken back when it answers', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    bench.runner.failNext('wait', down())
    const second = await bench.in(await bench.spawn(), 'running')
    bench.runner.unreachable = true
    const { record } = await bench.when(second, (seen) => seen.record.error !== null)
    assert.deepEqual([record.state, record.ready, record.error?.code], ['running', true, 'HIVE_RUNNER_UNAVAILABLE'])
    assert.equal(bench.view.lookup('web').answer, 'open', 'its cocoons may well be reachable')
    bench.runner.unreachable = false
    await bench.when(second, (seen) => seen.record.error === null)
    assert.deepEqual([bench.now(row).record.state, bench.now(second).record.state], ['running', 'running'])
    assert.equal(calls(bench, 'start'), 2)
  })

  it('F31: an end that came while it was away is learned when it is back', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.failNext('wait', down())
    const row = await bench.in(await bench.spawn(), 'running')
    bench.runner.unreachable = true
    await bench.when(row, (seen) => seen.record.error !== null)
    await bench.runner.exit(row.record.id, { code: 7, signal: null, oom: false })
    bench.runner.unreachable = false
    const { record } = await bench.in(row, 'failed')
    assert.equal(record.exit?.code, 7)
  })

  it('a launch waits for it', async (t) => {
    for (const call of ['prepare', 'start'] as const) {
      const bench = await openSupervisor(t)
      bench.runner.failNext(call, down())
      const row = await bench.spawn()
      await bench.when(row, (seen) => seen.record.error?.code === 'HIVE_RUNNER_UNAVAILABLE')
      const { record } = await bench.in(row, 'running')
      assert.equal(record.error, null)
    }
  })

  it('after 10 min without it a launch is rejected, with the reason', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.hold('prepare')
    const row = await bench.spawn()
    await bench.in(row, 'preparing')
    bench.runner.unreachable = true
    bench.runner.hold('prepare')()
    const { record: waiting } = await bench.when(row, (seen) => seen.record.error !== null)
    assert.equal(waiting.state, 'preparing')
    bench.clock.pass(RUNNER_PATIENCE_MS + 1_000)
    const { record } = await bench.in(row, 'rejected')
    assert.deepEqual([record.error?.code, record.exit?.reason], ['HIVE_RUNNER_UNAVAILABLE', 'runner_unavailable'])
  })

  it('F59: a clock that is set ten years on or back is no time without it', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.hold('prepare')
    const row = await bench.spawn()
    await bench.in(row, 'preparing')
    bench.runner.unreachable = true
    bench.runner.hold('prepare')()
    await bench.when(row, (seen) => seen.record.error !== null)
    for (const years of [10, -10]) {
      bench.clock.aheadMs = years * 365 * 86_400_000
      const asked = bench.runner.calls.length
      await until(() => bench.runner.calls.length > asked, 20_000, 'another try')
      assert.equal(bench.now(row).record.state, 'preparing')
    }
    bench.runner.unreachable = false
    const { timings } = (await bench.in(row, 'running')).record
    for (const [what, ms] of Object.entries(timings)) assert.ok(ms === null || ms >= 0, `${what} ${ms}`)
  })

  it('the time in which Hive itself was away does not count as patience', async (t) => {
    const runner = new FakeRunner()
    runner.hold('prepare')
    const first = await openSupervisor(t, { runner })
    const row = await first.spawn()
    await first.in(row, 'preparing')
    await first.close()
    runner.unreachable = true
    runner.hold('prepare')()
    const clock = new TestClock()
    clock.aheadMs = 10 * RUNNER_PATIENCE_MS
    const second = await openSupervisor(t, { runner, clock, directory: first.directory ?? '' })
    const waiting = await second.when(row, (seen) => seen.record.error !== null)
    assert.equal(waiting.record.state, 'preparing')
    runner.unreachable = false
    await second.in(row, 'running')
  })

  it('F32: launches that wait for it keep no start slot from another runner', async (t) => {
    const docker = new FakeRunner({ type: 'docker' })
    const script = new FakeRunner()
    const kinds = [scriptKind('native'), containerKind('box')]
    const bench = await openSupervisor(t, {
      kinds,
      runner: script,
      drivers: [docker.driver(), script.driver()],
      maxStarts: 1,
    })
    for (let n = 0; n < 20; n++) docker.failNext('start', down())
    const boxes = await Promise.all([1, 2, 3].map(() => bench.spawn({ kind: 'box' })))
    for (const box of boxes) await bench.when(box, (seen) => seen.record.error !== null)
    await bench.in(await bench.spawn({ kind: 'native' }), 'running')
  })

  it('waits that break off at once are not repeated without a pause', async (t) => {
    const bench = await openSupervisor(t)
    for (let n = 0; n < 500; n++) bench.runner.failNext('wait', down())
    const row = await bench.in(await bench.spawn(), 'running')
    const { revision } = bench.now(row).record
    await delay(400)
    assert.ok(calls(bench, 'wait') <= 4, `${calls(bench, 'wait')} waits`)
    assert.ok(bench.now(row).record.revision - revision <= 4)
    await bench.intend(row, { desired: 'removed' })
    await bench.when(row, (seen) => seen.record.state === 'removed')
  })
})

describe('a launch that is refused', { concurrency: 4 }, () => {
  for (const call of ['prepare', 'start'] as const) {
    it(`F29: by ${call}: rejected with the reason, and tried only once`, async (t) => {
      const bench = await openSupervisor(t)
      bench.runner.failNext(call, new LaunchRefused('there is no such command'))
      const { record } = await bench.in(await bench.spawn(), 'rejected')
      assert.deepEqual(record.error, { code: 'HIVE_LAUNCH_REFUSED', detail: 'there is no such command' })
      assert.deepEqual([record.exit, calls(bench, call)], [null, 1])
      await bench.intend(bench.now({ record } as never), { desired: 'running' })
      await bench.when(bench.now({ record } as never), (seen) => seen.record.attempt === 2 && seen.record.ready)
    })
  }

  it('F38: a chosen port that was taken is exchanged, up to three times', async (t) => {
    const bench = await openSupervisor(t)
    const ports: number[] = []
    bench.view.onChange(({ record }) => ports.push(record.ports[0]?.host_port ?? 0))
    for (let n = 0; n < 3; n++) bench.runner.failNext('start', portTaken())
    const row = await bench.in(await bench.spawn(), 'running')
    assert.equal(new Set(ports.filter(Boolean)).size, 4)
    assert.equal(hostPort(row), ports.at(-1))
    assert.equal(bench.runner.running(row.record.id), 1)
  })

  it('F38: after three exchanges it is rejected', async (t) => {
    const bench = await openSupervisor(t)
    for (let n = 0; n < 10; n++) bench.runner.failNext('start', portTaken())
    const { record } = await bench.in(await bench.spawn(), 'rejected')
    assert.equal(record.error?.code, 'HIVE_LAUNCH_REFUSED')
    assert.equal(calls(bench, 'start'), 4)
  })

  it('F38: a fixed port is not exchanged', async (t) => {
    const runner = new FakeRunner({ type: 'docker' })
    const bench = await openSupervisor(t, {
      runner,
      kinds: [containerKind('box', { ports: [{ port: 80, hostPort: 9_000 }] })],
    })
    runner.failNext('start', portTaken())
    const { record } = await bench.in(await bench.spawn(), 'rejected')
    assert.deepEqual([record.error?.detail, calls(bench, 'start')], ['port is taken', 1])
  })

  it('F38: of a mixed set only the chosen ports are exchanged, each inside port keeps its number', async (t) => {
    const runner = new FakeRunner({ type: 'docker' })
    const kind = containerKind('box', {
      ports: [
        { port: 80, hostPort: 9_000 },
        { port: 81, hostPort: null },
      ],
    })
    const bench = await openSupervisor(t, { runner, kinds: [kind] })
    const seen: (readonly [number, number])[][] = []
    bench.view.onChange(({ record }) => seen.push(record.ports.map(({ port, host_port }) => [port, host_port])))
    runner.failNext('start', portTaken())
    const { record } = await bench.in(await bench.spawn(), 'running')
    const [first, second] = record.ports.map(({ port, host_port }) => [port, host_port])
    assert.deepEqual([first, second?.[0]], [[80, 9_000], 81])
    assert.notDeepEqual(seen.find((ports) => ports.length === 2)?.[1], second)
  })

  it('F38: an exchanged port is free for others only after its rest, the new one only after removal', async (t) => {
    const bench = await openSupervisor(t, { portRange: { first: 61_001, last: 61_002 } })
    bench.runner.failNext('start', portTaken())
    const row = await bench.in(await bench.spawn(), 'running')
    assert.equal(hostPort(row), 61_002)
    const full = await bench.in(await bench.spawn(), 'rejected')
    assert.equal(full.record.error?.code, 'HIVE_CAPACITY')
    bench.clock.aheadMs = 61_000
    assert.equal(hostPort(await bench.in(await bench.spawn(), 'running')), 61_001)
  })

  it('F38: with no other port left it keeps its own and says what was wrong', async (t) => {
    const bench = await openSupervisor(t, { portRange: { first: 61_001, last: 61_001 } })
    bench.runner.failNext('start', portTaken())
    const row = await bench.in(await bench.spawn(), 'rejected')
    assert.equal(row.record.error?.detail, 'port is taken')
    await bench.intend(row, { desired: 'running' })
    assert.equal(hostPort(await bench.when(row, (seen) => seen.record.ready)), 61_001)
  })

  it('F40: a stranger that listens on its port: it is launched elsewhere, and the stranger is left alone', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.failNext('listens', portTaken())
    const row = await bench.spawn()
    const ports = new Set<number>()
    bench.view.onChange(({ record }) => record.ports[0] && ports.add(record.ports[0].host_port))
    await bench.in(row, 'running')
    assert.equal(ports.size, 2)
    assert.equal(bench.runner.running(row.record.id), 1)
    assert.equal(calls(bench, 'start'), 2)
  })

  it('F40: a stranger on every port it is moved to: failed, and nothing is left running', async (t) => {
    const bench = await openSupervisor(t)
    for (let n = 0; n < 10; n++) bench.runner.failNext('listens', portTaken())
    const { record } = await bench.in(await bench.spawn(), 'failed')
    assert.deepEqual([record.exit?.reason, calls(bench, 'start')], ['not_ready', 4])
    assert.equal(bench.runner.running(record.id), 0)
  })

  it('a script that ended because a stranger has its port is launched elsewhere; if it ends there, too, that is its end', async (t) => {
    const taken: number[] = []
    const behave = ({ ports }: LaunchSpec) => {
      const port = ports[0]?.hostPort ?? 0
      if (taken.length === 0) takePort(t, port)
      taken.push(port)
      return { exit: { code: 98, signal: null, oom: false }, listens: false }
    }
    const bench = await openSupervisor(t, { runner: new FakeRunner({ behave }) })
    const { record } = await bench.in(await bench.spawn(), 'failed')
    assert.deepEqual([record.exit?.code, record.exit?.reason], [98, 'exited'])
    assert.equal(taken.length, 2)
    assert.notEqual(taken[0], taken[1])
    assert.equal(record.ports[0]?.host_port, taken[1])
  })

  it('a script whose own leavings hold its port is not launched for ever', async (t) => {
    const behave = ({ ports }: LaunchSpec) => {
      takePort(t, ports[0]?.hostPort ?? 0)
      return { exit: { code: 1, signal: null, oom: false }, listens: false }
    }
    const first = await freePort()
    const bench = await openSupervisor(t, { runner: new FakeRunner({ behave }), portRange: { first, last: first } })
    const { record } = await bench.in(await bench.spawn(), 'failed')
    assert.deepEqual([record.exit?.code, calls(bench, 'start')], [1, 1])
  })
})

/** A stranger that listens on a port from the next tick on. */
function takePort(t: TestContext, port: number): void {
  const stranger = createServer().listen(port, '127.0.0.1')
  t.after(() => stranger.close())
}
