import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogger } from '../../src/logging.ts'
import { stopAll } from '../../src/services/duties/shutdown.ts'
import { within } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { Disk, diskFull } from '../support/mortal.ts'
import { openSupervisor, type SupervisorBench } from '../support/supervisor.ts'

const log = createLogger({ logLevel: 'silent' })
const stop = ({ view, supervisor }: SupervisorBench, signal = AbortSignal.timeout(5_000)) =>
  within(stopAll({ view, supervisor, log }, signal), 8_000, 'stopAll')

describe('stopAll', { concurrency: true }, () => {
  it('stops what runs, what is just being launched and what would start again, and leaves the ended alone', async (t) => {
    const bench = await openSupervisor(t)
    const running = await bench.in(await bench.spawn(), 'running')
    const failed = await bench.in(await bench.spawn(), 'running')
    await bench.runner.exit(failed.record.id, { code: 7, signal: null, oom: false })
    const ended = await bench.in(failed, 'failed')
    bench.runner.hold('prepare')
    const preparing = await bench.in(await bench.spawn(), 'preparing')
    const restarting = bench.now(running)
    await bench.intend(restarting, { desired: 'running', again: true })
    assert.deepEqual(await stop(bench), [])
    assert.deepEqual([bench.now(running).record.state, bench.now(preparing).record.state], ['stopped', 'stopped'])
    assert.equal(bench.now(running).intent.by, 'shutdown')
    assert.equal(bench.now(failed), ended)
    assert.deepEqual(
      [running, preparing, failed].map(({ record }) => bench.runner.running(record.id)),
      [0, 0, 0],
    )
  })

  it('waits for those that are born meanwhile, too', async (t) => {
    const runner = new FakeRunner()
    const bench = await openSupervisor(t, { runner })
    const first = await bench.in(await bench.spawn(), 'running')
    const release = runner.hold('stop')
    const stopping = stop(bench)
    await bench.when(first, ({ record }) => record.state === 'stopping')
    const born = await bench.spawn()
    release()
    assert.deepEqual(await stopping, [])
    assert.equal(bench.now(born).record.state, 'stopped')
  })

  it('names what is still active when the time is up', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    const release = bench.runner.hold('stop')
    assert.deepEqual(await stop(bench, AbortSignal.timeout(50)), ['web'])
    release()
    await bench.in(row, 'stopped')
  })

  it('goes on with the others when one cannot be asked', async (t) => {
    const disk = new Disk()
    const bench = await openSupervisor(t, { table: disk.table() })
    const first = await bench.in(await bench.spawn({ name: 'first' }), 'running')
    const second = await bench.in(await bench.spawn({ name: 'second' }), 'running')
    disk.failures.push(diskFull())
    const time = new AbortController()
    void bench.in(second, 'stopped').then(() => time.abort())
    assert.deepEqual(await stop(bench, time.signal), ['first'])
    assert.deepEqual([bench.now(first).record.state, bench.now(second).record.state], ['running', 'stopped'])
  })

  it('is done at once when there is nothing', async (t) => {
    assert.deepEqual(await stop(await openSupervisor(t)), [])
  })
})
