import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogger } from '../../src/logging.ts'
import { RunnerUnreachable } from '../../src/runners/driver.ts'
import { reconcile } from '../../src/services/duties/reconcile.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { containerKind, scriptKind } from '../support/service-row.ts'
import { openSupervisor, type SupervisorBench } from '../support/supervisor.ts'

const DAY_MS = 86_400_000
const never = AbortSignal.timeout(60_000)

/** What an engine does when it comes back with something that was gone. */
async function reappears(bench: SupervisorBench, { record }: ServiceRow, instance?: string): Promise<void> {
  const spec = scriptSpec(
    { command: 'worker' },
    { port: null, id: record.id, name: record.name, attempt: record.attempt },
  )
  await bench.runner.driver(instance).start(spec, never)
}

async function removed(bench: SupervisorBench, row: ServiceRow): Promise<ServiceRow> {
  await bench.intend(row, { desired: 'removed' })
  return bench.when(row, ({ record }) => record.state === 'removed')
}

describe('reconcile', { concurrency: true }, () => {
  it('vouches for what runs, and writes nothing for that', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    assert.equal(bench.view.present(row).observed_at, null)
    await bench.reconcile()
    assert.notEqual(bench.view.present(row).observed_at, null)
    assert.equal(bench.now(row), row)
    await bench.runner.exit(row.record.id, { code: 1, signal: null, oom: false })
    await bench.in(row, 'failed')
    const before = bench.view.present(row).observed_at
    await bench.reconcile()
    assert.equal(bench.view.present(row).observed_at, before)
  })

  it('I4: removes what reappears of a removed service, before and after a restart of Hive', async (t) => {
    const first = await openSupervisor(t)
    const row = await removed(first, await first.in(await first.spawn(), 'running'))
    await reappears(first, row)
    await first.reconcile()
    assert.equal(first.runner.running(row.record.id), 0)
    await reappears(first, row)
    await first.close()
    const second = await openSupervisor(t, { runner: first.runner, directory: first.directory ?? '' })
    await second.reconcile()
    assert.equal(first.runner.running(row.record.id), 0)
    assert.equal(second.now(row).record.state, 'removed')
  })

  it('what reappears after it was lost is removed, never adopted', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    await bench.runner.vanish(row.record.id)
    await bench.in(row, 'lost')
    await reappears(bench, row)
    await bench.reconcile()
    assert.equal(bench.runner.running(row.record.id), 0)
    assert.deepEqual(await bench.runner.driver().list(never), [])
    assert.equal(bench.now(row).record.state, 'lost')
  })

  it('what runs although its service has ended is stopped, and kept for the next start', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.intend(row, { desired: 'stopped' })
    await bench.in(row, 'stopped')
    await bench.runner.vanish(row.record.id)
    await reappears(bench, row)
    await bench.reconcile()
    assert.equal(bench.runner.running(row.record.id), 0)
    assert.equal((await bench.runner.driver().list(never)).length, 1)
    assert.equal(bench.now(row).record.state, 'stopped')
  })

  it('I5: touches nothing that no row claims, that is another Hive’s, or that is about to start', async (t) => {
    const bench = await openSupervisor(t)
    const mine = await bench.in(await bench.spawn(), 'running')
    const gone = await removed(bench, await bench.in(await bench.spawn(), 'running'))
    const orphan = scriptSpec({ command: 'worker' }, { port: null })
    await bench.runner.driver().start(orphan, never)
    await reappears(bench, gone, 'another-hive')
    await bench.reconcile()
    assert.deepEqual(
      [orphan.id, gone.record.id, mine.record.id].map((id) => bench.runner.running(id)),
      [1, 1, 1],
    )
    const release = bench.runner.hold('start')
    await bench.intend(mine, { desired: 'running', again: true })
    await bench.when(mine, ({ record }) => record.attempt === 2 && record.state === 'starting')
    await bench.reconcile()
    release()
    await bench.when(mine, ({ record }) => record.attempt === 2 && record.ready)
  })

  it('a start that comes while a leftover is cleared away waits for that, and then runs', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.runner.vanish(row.record.id)
    await bench.in(row, 'lost')
    await reappears(bench, row)
    const release = bench.runner.hold('remove')
    const pass = bench.reconcile()
    await until(() => bench.runner.calls.some((call) => call.startsWith('remove ')), 3_000, 'the removal')
    const starting = bench.intend(row, { desired: 'running' })
    release()
    await Promise.all([pass, starting])
    await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    await bench.reconcile()
    assert.equal(bench.runner.running(row.record.id), 1)
  })

  it('F68: an empty list proves nothing', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn(), 'running')
    const driver = bench.runner.driver()
    const parts = { view: bench.view, supervisor: bench.supervisor, clock: bench.clock, keepEndedMs: null }
    const log = createLogger({ logLevel: 'silent' })
    await reconcile({ ...parts, log, drivers: [{ ...driver, list: async () => [] }] }, never)
    assert.equal(bench.now(row), row)
    assert.equal(bench.runner.running(row.record.id), 1)
  })

  it('one runner that is away or one leftover that resists does not keep it from the others', async (t) => {
    const [docker, script] = [new FakeRunner({ type: 'docker' }), new FakeRunner()]
    const kinds = [scriptKind('native'), containerKind('box')]
    const drivers = [docker.driver(), script.driver()]
    const bench = await openSupervisor(t, { kinds, runner: script, drivers })
    const rows = await Promise.all([1, 2].map(async () => bench.in(await bench.spawn(), 'running')))
    for (const row of rows) await removed(bench, row)
    for (const row of rows) await reappears(bench, row)
    const alive = await bench.in(await bench.spawn(), 'running')
    docker.unreachable = true
    script.failNext('remove', new RunnerUnreachable('not now'))
    await bench.reconcile()
    assert.notEqual(bench.view.present(alive).observed_at, null)
    assert.deepEqual(
      rows.map(({ record }) => script.running(record.id)),
      [1, 0],
    )
    await bench.reconcile()
    assert.deepEqual(
      rows.map(({ record }) => script.running(record.id)),
      [0, 0],
    )
  })

  it('tombstones are dropped after 24 h, and with them name, request id and the memory of both', async (t) => {
    const bench = await openSupervisor(t)
    const row = await removed(bench, await bench.in(await bench.spawn({ name: 'web', requestId: 'r' }), 'running'))
    bench.clock.aheadMs = DAY_MS - 60_000
    await bench.reconcile()
    assert.equal(bench.view.lookup('web').answer, 'removed')
    bench.clock.aheadMs = DAY_MS + 60_000
    await bench.reconcile()
    assert.deepEqual([bench.view.lookup('web').answer, bench.view.byId(row.record.id)], ['unknown', null])
    assert.deepEqual(await bench.table.load(), [])
    const again = await bench.spawn({ name: 'web', requestId: 'r' })
    assert.notEqual(again.record.id, row.record.id)
    await bench.in(again, 'running')
  })

  it('HIVE_KEEP_ENDED removes what ended long ago, and nothing that runs or is to run', async (t) => {
    const bench = await openSupervisor(t, { keepEndedMs: 60_000 })
    const [failed, running, owed] = await Promise.all(
      [1, 2, 3].map(async () => bench.in(await bench.spawn(), 'running')),
    )
    assert.ok(failed && running && owed)
    for (const row of [failed, owed]) await bench.runner.exit(row.record.id, { code: 1, signal: null, oom: false })
    await Promise.all([failed, owed].map((row) => bench.in(row, 'failed')))
    await bench.reconcile()
    assert.equal(bench.now(failed).record.desired, 'running')
    bench.clock.aheadMs = 120_000
    bench.runner.hold('prepare')
    await bench.intend(owed, { desired: 'running' })
    await bench.reconcile()
    const gone = await bench.when(failed, ({ record }) => record.state === 'removed')
    assert.deepEqual([gone.intent.by, gone.record.exit?.code], ['ttl', 1])
    assert.deepEqual([bench.now(running).record.state, bench.now(owed).record.desired], ['running', 'running'])
  })
})
