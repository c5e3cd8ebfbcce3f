import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, it } from 'node:test'
import type { RestartPolicy } from '../../src/kinds/kind.ts'
import { RunnerUnreachable } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { freePort } from '../support/free-port.ts'
import { NEVER } from '../support/launch-spec.ts'
import { scriptKind } from '../support/service-row.ts'
import { openSupervisor, TestClock } from '../support/supervisor.ts'

const QUICK: RestartPolicy = { ...NEVER, policy: 'on-failure', backoffMinMs: 20, backoffMaxMs: 40 }
const SLOW: RestartPolicy = { ...NEVER, policy: 'on-failure', backoffMinMs: 60_000, backoffMaxMs: 60_000 }
const crash = { code: 1, signal: null, oom: false }
const kindsWith = (restart: RestartPolicy) => [scriptKind('native', { restart })]

describe('restarts by the supervisor', () => {
  it('F57: what crashes is launched again after the back-off that its record names', async (t) => {
    const bench = await openSupervisor(t, { kinds: kindsWith(QUICK) })
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.runner.exit(row.record.id, crash)
    const failed = await bench.when(row, ({ record }) => record.next_attempt_at !== null)
    assert.equal(failed.record.state, 'failed')
    const { record } = await bench.when(row, (now) => now.record.attempt === 2 && now.record.ready)
    assert.deepEqual([record.restarts, record.next_attempt_at, record.exit], [1, null, null])
  })

  it('F57: the count outlives Hive, and so does the time of the next attempt', async (t) => {
    const runner = new FakeRunner({ behave: () => ({ exit: crash }) })
    const first = await openSupervisor(t, {
      kinds: kindsWith({ ...QUICK, backoffMinMs: 300, backoffMaxMs: 300 }),
      runner,
    })
    const row = await first.when(await first.spawn(), ({ restart }) => restart.charged.length === 2)
    await first.close()
    const second = await openSupervisor(t, { runner, directory: first.directory ?? '' })
    assert.ok(second.now(row).restart.charged.length >= 2)
    const { record } = await second.when(row, (now) => now.record.exit?.reason === 'crash_loop')
    assert.deepEqual([record.state, record.attempt], ['failed', 6])
  })

  it('F59: a clock set back ten days while Hive was away holds up no restart', async (t) => {
    const runner = new FakeRunner()
    const first = await openSupervisor(t, {
      kinds: kindsWith({ ...QUICK, backoffMinMs: 900, backoffMaxMs: 900 }),
      runner,
    })
    const row = await first.in(await first.spawn(), 'running')
    await runner.exit(row.record.id, crash)
    await first.when(row, ({ record }) => record.next_attempt_at !== null)
    await first.close()
    const clock = new TestClock()
    clock.aheadMs = -10 * 86_400_000
    const second = await openSupervisor(t, { runner, clock, directory: first.directory ?? '' })
    await second.when(row, ({ record }) => record.attempt === 2 && record.ready)
  })

  it('F58: a stop and a DELETE during the back-off hold, at once', async (t) => {
    for (const [desired, state] of [
      ['stopped', 'failed'],
      ['removed', 'removed'],
    ] as const) {
      const bench = await openSupervisor(t, { kinds: kindsWith(SLOW) })
      const row = await bench.in(await bench.spawn(), 'running')
      await bench.runner.exit(row.record.id, crash)
      await bench.when(row, ({ record }) => record.next_attempt_at !== null)
      await bench.intend(row, { desired })
      const { record } = await bench.when(row, (now) => now.record.state === state)
      assert.deepEqual([record.desired, record.next_attempt_at, record.attempt], [desired, null, 1])
    }
  })

  it('F58: a restart asked for while it stops, and a stop while it restarts: what was said last holds', async (t) => {
    const runner = new FakeRunner()
    const bench = await openSupervisor(t, { runner, kinds: kindsWith(QUICK) })
    const row = await bench.in(await bench.spawn(), 'running')
    const goOn = runner.hold('stop')
    await bench.intend(row, { desired: 'stopped' })
    await bench.when(row, ({ record }) => record.state === 'stopping')
    await bench.intend(row, { desired: 'running', again: true })
    goOn()
    await bench.when(row, ({ record }) => record.attempt === 2 && record.state === 'running')
    const goOnAgain = runner.hold('stop')
    await bench.intend(row, { desired: 'running', again: true })
    await bench.when(row, ({ record }) => record.state === 'stopping')
    await bench.intend(row, { desired: 'stopped' })
    goOnAgain()
    const { record } = await bench.when(row, (now) => now.record.state === 'stopped')
    assert.deepEqual([record.attempt, record.desired, record.next_attempt_at], [2, 'stopped', null])
    assert.equal(runner.running(row.record.id), 0)
  })

  it('F58: a start during the back-off does not wait for it', async (t) => {
    const bench = await openSupervisor(t, { kinds: kindsWith(SLOW) })
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.runner.exit(row.record.id, crash)
    await bench.when(row, ({ record }) => record.next_attempt_at !== null)
    await bench.intend(row, { desired: 'running' })
    const { restart } = await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    assert.deepEqual(restart.charged, [])
  })

  it('an end while the runner was away is restarted and not charged', async (t) => {
    const bench = await openSupervisor(t, { kinds: kindsWith(QUICK) })
    // One for the wait until it is ready, one for the wait after it.
    for (let n = 0; n < 2; n++) bench.runner.failNext('wait', new RunnerUnreachable('the engine shuts down'))
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.when(row, ({ record }) => record.state === 'running' && record.error !== null)
    await bench.runner.exit(row.record.id, crash)
    const { restart } = await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    assert.deepEqual(restart.charged, [])
  })
})

describe('health by the supervisor', () => {
  async function healthy(t: Parameters<typeof openSupervisor>[0], restart: RestartPolicy, readyTimeoutMs = 20_000) {
    const state = { up: true }
    let isOver = false
    const server = createServer((_request, response) => {
      response.statusCode = state.up ? 200 : 503
      response.end()
    })
    t.after(() => {
      isOver = true
      server.closeAllConnections()
      server.close()
    })
    const port = await freePort()
    const check = { type: 'http', path: '/', port: null, command: [], startPeriodMs: 0 } as const
    const healthChecks = [{ ...check, intervalMs: 20, timeoutMs: 1_000, retries: 3 }]
    const kinds = [scriptKind('native', { restart, healthChecks, readyTimeoutMs })]
    const bench = await openSupervisor(t, { kinds, portRange: { first: port, last: port } })
    // The fake cocoon listens on nothing: once it has the one port of the range, the server answers there for it.
    bench.view.onChange(({ record }) => {
      // The supervisor is closed after it, and may begin another attempt before that.
      if (record.state === 'starting' && !server.listening && !isOver) server.listen(port, '127.0.0.1')
    })
    return { bench, state }
  }

  it('a cocoon that keeps failing is stopped, its route closed, and started again', async (t) => {
    const { bench, state } = await healthy(t, { ...QUICK, backoffMinMs: 200, backoffMaxMs: 200 })
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    assert.deepEqual([row.record.health, bench.view.lookup('web').answer], ['passing', 'open'])
    state.up = false
    const { record } = await bench.in(row, 'failed')
    assert.deepEqual([record.exit?.reason, record.error?.code], ['unhealthy', 'HIVE_UNHEALTHY'])
    assert.match(record.error?.detail ?? '', /answered 503/)
    assert.equal(bench.view.lookup('web').answer, 'waiting')
    state.up = true
    await bench.when(row, (now) => now.record.attempt > 1 && now.record.ready)
    assert.equal(bench.runner.running(row.record.id), 1)
    const probes = bench.view.transcript.of(row.record.id)
    assert.ok(probes.length > 0 && probes.length <= 20)
  })

  it('without restarts its route closes until it recovers', async (t) => {
    const { bench, state } = await healthy(t, NEVER)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    state.up = false
    await bench.when(row, ({ record }) => record.health === 'failing')
    assert.deepEqual([bench.now(row).record.state, bench.view.lookup('web').answer], ['running', 'waiting'])
    state.up = true
    await bench.when(row, ({ record }) => record.health === 'passing')
    assert.equal(bench.view.lookup('web').answer, 'open')
  })

  it('F56: while the runner does not answer nothing is unhealthy, afterwards it counts again', async (t) => {
    const { bench, state } = await healthy(t, QUICK)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    const before = bench.view.transcript.of(row.record.id).length
    await until(() => bench.view.transcript.of(row.record.id).length > before, 10_000, 'watching')
    bench.runner.unreachable = true
    state.up = false
    const failures = () => bench.view.transcript.of(row.record.id).filter(({ ok }) => !ok).length
    await until(() => failures() >= 10, 10_000, 'failing probes')
    assert.deepEqual([bench.now(row).record.state, bench.now(row).record.health], ['running', 'passing'])
    bench.runner.unreachable = false
    const { record } = await bench.when(row, (now) => now.record.exit?.reason === 'unhealthy')
    assert.equal(record.attempt, 1)
  })

  it('one that never passes is not ready, and says which probe failed', async (t) => {
    const { bench, state } = await healthy(t, NEVER, 300)
    state.up = false
    const { record } = await bench.in(await bench.spawn(), 'failed')
    assert.equal(record.exit?.reason, 'not_ready')
    assert.match(record.error?.detail ?? '', /health checks did not pass .*answered 503/)
  })
})
