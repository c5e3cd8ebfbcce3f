import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { until } from '../support/deadline.ts'
import { type FakeCall, FakeRunner } from '../support/fake-driver.ts'
import { scriptKind } from '../support/service-row.ts'
import { openSupervisor, type SupervisorBench } from '../support/supervisor.ts'

/** Deletes and checks that nothing is left of the service anywhere. */
async function deleted(bench: SupervisorBench, row: ServiceRow): Promise<ServiceRow> {
  await bench.intend(row, { desired: 'removed' })
  const gone = await bench.when(row, ({ record }) => record.state === 'removed')
  await assertGone(bench, gone)
  return gone
}

async function assertGone(bench: SupervisorBench, row: ServiceRow): Promise<void> {
  const { id } = row.record
  assert.equal(row.record.state, 'removed')
  assert.equal(bench.runner.running(id), 0)
  const left = await bench.runner.driver().list(AbortSignal.timeout(1_000))
  assert.deepEqual(
    left.filter((object) => object.id === id),
    [],
  )
  const [stored] = (await bench.table.load()).filter(({ record }) => record.id === id)
  assert.deepEqual([stored?.record.state, stored?.sealed, stored?.record.desired], ['removed', null, 'removed'])
  assert.equal(bench.view.lookup(row.record.name).answer, 'removed')
}

/** Waits until a call of this kind has begun. */
async function called(runner: FakeRunner, call: FakeCall): Promise<void> {
  await until(() => runner.calls.some((one) => one.startsWith(`${call} `)), 5_000, call)
}

describe('DELETE', { concurrency: 4 }, () => {
  for (const [state, arrive] of [
    ['running', async (bench, row) => void (await bench.in(row, 'running'))],
    [
      'stopped',
      async (bench, row) => {
        await bench.in(row, 'running')
        await bench.intend(row, { desired: 'stopped' })
        await bench.in(row, 'stopped')
      },
    ],
    [
      'failed',
      async (bench, row) => {
        await bench.in(row, 'running')
        await bench.runner.exit(row.record.id, { code: 1, signal: null, oom: false })
        await bench.in(row, 'failed')
      },
    ],
    ['requested', async () => {}],
  ] as readonly [string, (bench: SupervisorBench, row: ServiceRow) => Promise<void>][]) {
    it(`removes a ${state} service`, async (t) => {
      const bench = await openSupervisor(t)
      const row = await bench.spawn()
      await arrive(bench, row)
      await deleted(bench, row)
    })
  }

  it('F37: breaks off a preparation that hangs, and launches nothing', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.hold('prepare')
    const row = await bench.spawn()
    await called(bench.runner, 'prepare')
    await deleted(bench, row)
    assert.equal(
      bench.runner.calls.some((call) => call.startsWith('start ')),
      false,
    )
  })

  it('F16: breaks off a launch that hangs', async (t) => {
    const bench = await openSupervisor(t)
    const release = bench.runner.hold('start')
    const row = await bench.spawn()
    await called(bench.runner, 'start')
    const gone = await deleted(bench, row)
    release()
    await bench.reconcile()
    await assertGone(bench, gone)
  })

  it('F2, F16: finds and removes what a launch with a lost reply made', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.loseReply('start')
    const row = await bench.spawn()
    await bench.when(row, ({ record }) => record.error !== null)
    assert.equal(bench.runner.running(row.record.id), 1, 'the object is there, its handle is not known')
    assert.equal(bench.now(row).handle, null)
    await deleted(bench, row)
  })

  it('F2: a lost reply without a DELETE is adopted, not launched again', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.loseReply('start')
    const { record } = await bench.in(await bench.spawn(), 'running')
    assert.equal(record.error, null)
    assert.equal(bench.runner.running(record.id), 1)
  })

  it('breaks off waiting for readiness', async (t) => {
    const runner = new FakeRunner({ behave: () => ({ listens: false }) })
    const bench = await openSupervisor(t, { runner })
    const row = await bench.spawn()
    await called(runner, 'listens')
    await deleted(bench, row)
  })

  it('overtakes a stop that is under way, and one by one both are done', async (t) => {
    const runner = new FakeRunner({ behave: () => ({ ignoresTerm: true }) })
    const bench = await openSupervisor(t, { runner, kinds: [scriptKind('native', { stopGraceMs: 100 })] })
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.intend(row, { desired: 'stopped' })
    await called(runner, 'stop')
    const { record } = await deleted(bench, row)
    assert.deepEqual([record.exit?.code, record.exit?.reason], [137, 'stopped'])
  })

  it('overtakes a restart: the next attempt is not launched', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    const release = bench.runner.hold('stop')
    await bench.intend(row, { desired: 'running', again: true })
    await called(bench.runner, 'stop')
    await bench.intend(row, { desired: 'removed' })
    release()
    const gone = await bench.when(row, ({ record }) => record.state === 'removed')
    await assertGone(bench, gone)
    assert.equal(gone.record.attempt, 1)
  })

  it('F31: waits for a runner that is away, says so, and ends when it is back', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    bench.runner.unreachable = true
    await bench.intend(row, { desired: 'removed' })
    const waiting = await bench.when(row, ({ record }) => record.state === 'stopping' && record.error !== null)
    assert.equal(waiting.record.error?.code, 'HIVE_RUNNER_UNAVAILABLE')
    await bench.intend(row, { desired: 'removed' })
    bench.runner.unreachable = false
    await assertGone(bench, await bench.when(row, ({ record }) => record.state === 'removed'))
  })

  it('needs no runner for what was never launched', async (t) => {
    const bench = await openSupervisor(t)
    bench.runner.hold('prepare')
    const row = await bench.spawn()
    await called(bench.runner, 'prepare')
    bench.runner.unreachable = true
    await bench.intend(row, { desired: 'removed' })
    await bench.when(row, ({ record }) => record.state === 'removed')
  })

  it('is the same however often it is asked, while it goes on and after, over a restart, too', async (t) => {
    const first = await openSupervisor(t)
    const row = await first.in(await first.spawn(), 'running')
    const all = await Promise.all(Array.from({ length: 20 }, () => first.intend(row, { desired: 'removed' })))
    assert.ok(all.every(({ record }) => record.desired === 'removed'))
    const racing: Promise<ServiceRow>[] = []
    first.view.onChange(() => racing.push(first.intend(row, { desired: 'removed' })))
    const gone = await first.when(row, ({ record }) => record.state === 'removed')
    const raced = await Promise.all(racing)
    assert.ok(raced.length >= 1)
    assert.deepEqual(await first.intend(row, { desired: 'removed' }), gone)
    await first.close()
    const second = await openSupervisor(t, { runner: first.runner, directory: first.directory ?? '' })
    assert.deepEqual((await second.intend(row, { desired: 'removed' })).record, gone.record)
    assert.equal(gone.record.revision, second.now(row).record.revision)
  })

  it('I4: nothing brings a removed service back, and asking for it says why', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    const release = bench.runner.hold('stop')
    await bench.intend(row, { desired: 'removed' })
    for (const desired of ['running', 'stopped'] as const)
      await assert.rejects(bench.intend(row, { desired }), (error) => isHiveError(error, 'HIVE_STATE_CONFLICT'))
    release()
    await bench.when(row, ({ record }) => record.state === 'removed')
    for (const desired of ['running', 'stopped'] as const)
      await assert.rejects(bench.intend(row, { desired }), (error) => {
        assert.ok(isHiveError(error, 'HIVE_COCOON_GONE'), String(error))
        assert.equal((error.extra['service'] as { state: string }).state, 'removed')
        return true
      })
    await assert.rejects(bench.supervisor.intend('nobody', { desired: 'removed', by: 'api' }), (error) =>
      isHiveError(error, 'HIVE_SERVICE_UNKNOWN'),
    )
  })

  it('volumes asked for while the removal already goes on are removed, too', async (t) => {
    const seen: boolean[] = []
    const runner = new FakeRunner()
    const driver = runner.driver()
    const watched = {
      ...driver,
      remove: (handle: Parameters<typeof driver.remove>[0], options: { volumes: boolean }, signal: AbortSignal) => {
        seen.push(options.volumes)
        return driver.remove(handle, options, signal)
      },
    }
    const bench = await openSupervisor(t, { runner, drivers: [watched] })
    const row = await bench.in(await bench.spawn(), 'running')
    const release = runner.hold('remove')
    await bench.intend(row, { desired: 'removed' })
    await called(runner, 'remove')
    await bench.intend(row, { desired: 'removed', volumes: true })
    release()
    await bench.when(row, ({ record }) => record.state === 'removed')
    assert.equal(seen.at(-1), true)
  })

  it('F16: seeded interleavings of spawn, stop, start, restart and DELETE all end deleted', async (t) => {
    const bench = await openSupervisor(t)
    const verbs = [{ desired: 'stopped' }, { desired: 'running' }, { desired: 'running', again: true }] as const
    const one = async (seed: number) => {
      const row = await bench.spawn()
      let state = seed
      for (let step = 0; step < 5; step++) {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
        await bench.intend(row, verbs[state % 3] ?? verbs[0])
        for (let turns = state % 7; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
      }
      await bench.intend(row, { desired: 'removed' })
      await assertGone(bench, await bench.when(row, ({ record }) => record.state === 'removed'))
    }
    await Promise.all(Array.from({ length: 30 }, (_, seed) => one(seed)))
    assert.deepEqual(await bench.runner.driver().list(AbortSignal.timeout(1_000)), [])
  })
})
