import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { Disk, diskFull } from '../support/mortal.ts'
import { scriptKind } from '../support/service-row.ts'
import { openSupervisor } from '../support/supervisor.ts'

const full = (error: unknown) => isHiveError(error, 'HIVE_STORE_FULL')

async function onDisk(t: TestContext, disk: Disk, runner = new FakeRunner()) {
  const kinds = [scriptKind('native')]
  return openSupervisor(t, { table: disk.table(), kinds, runner })
}

describe('a disk that fails', { concurrency: true }, () => {
  it('F7, F8: refuses a spawn before anything is made', async (t) => {
    const disk = new Disk()
    const bench = await onDisk(t, disk)
    disk.failures.push(diskFull())
    await assert.rejects(bench.spawn({ name: 'web', requestId: 'r' }), full)
    assert.deepEqual([bench.runner.calls, disk.rows.size, [...bench.view.rows()].length], [[], 0, 0])
    await bench.in(await bench.spawn({ name: 'web', requestId: 'r' }), 'running')
  })

  it('F7, F8: refuses an intent, and the cocoon goes on as it was', async (t) => {
    const disk = new Disk()
    const bench = await onDisk(t, disk)
    const row = await bench.in(await bench.spawn(), 'running')
    for (const desired of ['stopped', 'removed'] as const) {
      disk.failures.push(diskFull())
      await assert.rejects(bench.intend(row, { desired }), full)
      assert.deepEqual([bench.now(row), bench.runner.running(row.record.id)], [row, 1])
    }
    await bench.intend(row, { desired: 'removed' })
    await bench.when(row, ({ record }) => record.state === 'removed')
  })

  it('F7: at any write of a launch: what was seen is reported again until it is durable', async (t) => {
    for (const at of [1, 2, 3, 4]) {
      const disk = new Disk()
      const bench = await onDisk(t, disk)
      const row = await bench.spawn()
      const off = bench.view.onChange(({ record }) => {
        if (record.revision === at) disk.failures.push(diskFull())
        if (record.revision >= at) off()
      })
      if (at === 1) disk.failures.push(diskFull())
      const running = await bench.in(row, 'running')
      assert.equal(disk.failures.length, 0, `write ${at + 1} failed`)
      assert.equal(bench.runner.running(row.record.id), 1)
      assert.equal(running.record.revision, disk.rows.get(row.record.id)?.record.revision)
    }
  })

  it('F7: an end that could not be written is written later, with its code', async (t) => {
    const disk = new Disk()
    const bench = await onDisk(t, disk)
    const row = await bench.in(await bench.spawn(), 'running')
    disk.failures.push(diskFull(), diskFull())
    await bench.runner.exit(row.record.id, { code: 7, signal: null, oom: false })
    const { record } = await bench.in(row, 'failed')
    assert.equal(record.exit?.code, 7)
    assert.equal(disk.failures.length, 0)
  })

  it('F4, F7: at any write of a DELETE it ends deleted', async (t) => {
    for (const failing of [0, 1, 2]) {
      const disk = new Disk()
      const bench = await onDisk(t, disk)
      const row = await bench.in(await bench.spawn(), 'running')
      let writes = 0
      const off = bench.view.onChange(() => {
        if (writes++ === failing) disk.failures.push(diskFull())
      })
      await bench.intend(row, { desired: 'removed' })
      await bench.when(row, ({ record }) => record.state === 'removed')
      off()
      assert.equal(disk.failures.length, 0)
      assert.equal(bench.runner.running(row.record.id), 0)
    }
  })

  it('F7: a port that was moved but could not be written down is held by nobody', async (t) => {
    const disk = new Disk()
    const runner = new FakeRunner()
    const bench = await onDisk(t, disk, runner)
    runner.failNext('start', new LaunchRefused('taken', { reason: 'port' }))
    const row = await bench.spawn()
    const first: number[] = []
    const off = bench.view.onChange(({ record }) => {
      const [port] = record.ports
      if (!port) return
      first.push(port.host_port)
      disk.failures.push(diskFull())
      off()
    })
    const { record } = await bench.in(row, 'running')
    assert.equal(disk.failures.length, 0)
    assert.deepEqual(
      record.ports.map(({ host_port }) => host_port),
      first,
      'it kept the port that is durable',
    )
    const other = await bench.in(await bench.spawn(), 'running')
    assert.notEqual(other.record.ports[0]?.host_port, first[0])
  })
})

describe('close', { concurrency: true }, () => {
  it('ends every action, whatever it waits for, leaves the cocoons alone, and writes nothing afterwards', async (t) => {
    const runner = new FakeRunner({ behave: (spec) => ({ listens: spec.name !== 'mute' }) })
    const disk = new Disk()
    const bench = await onDisk(t, disk, runner)
    const running = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    await bench.when(await bench.spawn({ name: 'mute' }), ({ handle }) => handle !== null)
    runner.hold('prepare')
    await bench.in(await bench.spawn({ name: 'held' }), 'preparing')
    await bench.close()
    const [rows, calls] = [structuredClone([...disk.rows.values()]), runner.calls.length]
    assert.equal(runner.running(running.record.id), 1)
    await runner.exit(running.record.id, { code: 1, signal: null, oom: false })
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([...disk.rows.values()], rows)
    assert.equal(runner.calls.length, calls)
  })

  it('F20, F21: the next Hive goes on with each: adopts what runs, learns how the others ended', async (t) => {
    const disk = new Disk()
    const runner = new FakeRunner()
    const first = await onDisk(t, disk, runner)
    const [lives, dies, vanishes] = await Promise.all(
      ['lives', 'dies', 'vanishes'].map(async (name) => first.in(await first.spawn({ name }), 'running')),
    )
    await first.close()
    await runner.exit(dies?.record.id ?? '', { code: 42, signal: null, oom: false })
    await runner.vanish(vanishes?.record.id ?? '')
    const second = await onDisk(t, disk, runner)
    const { record } = await second.in(dies ?? assert.fail(), 'failed')
    assert.equal(record.exit?.code, 42)
    assert.equal((await second.in(vanishes ?? assert.fail(), 'lost')).record.exit?.reason, 'lost')
    assert.equal(second.now(lives ?? assert.fail()).record.pid, lives?.record.pid)
    assert.equal(second.view.lookup('lives').answer, 'open')
    assert.equal(runner.calls.filter((call) => call.startsWith('start ')).length, 3)
  })

  it('closing while a spawn is being written waits for it and launches nothing', async (t) => {
    const disk = new Disk()
    const bench = await onDisk(t, disk)
    const spawning = bench.spawn()
    await bench.close()
    const row = await spawning
    assert.equal(disk.rows.get(row.record.id)?.record.desired, 'running')
    assert.equal(bench.runner.running(row.record.id), 0)
  })
})
