import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HiveError, type HiveErrorCode, isHiveError } from '../../src/errors.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { containerKind, scriptKind } from '../support/service-row.ts'
import { openSupervisor } from '../support/supervisor.ts'

const refusedAs = (code: HiveErrorCode) => (error: unknown) => {
  assert.ok(isHiveError(error, code), String(error))
  return true
}

function outcomes(results: readonly PromiseSettledResult<unknown>[]): {
  readonly fulfilled: number
  readonly codes: string[]
} {
  const codes = results.flatMap((result) =>
    result.status === 'rejected'
      ? [result.reason instanceof HiveError ? result.reason.code : String(result.reason)]
      : [],
  )
  return { fulfilled: results.length - codes.length, codes: [...new Set(codes)] }
}

const fixedPort = containerKind('fixed', { ports: [{ port: 80, hostPort: 9_000 }] })

describe('spawn', { concurrency: 4 }, () => {
  it('a cocoon comes to running, with its port, its pid and its route', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.spawn({ name: 'web', labels: { team: 'a' } })
    assert.deepEqual([row.record.state, row.record.attempt], ['requested', 1])
    const { record } = await bench.in(row, 'running')
    assert.deepEqual([record.ready, record.name, record.labels, record.error], [true, 'web', { team: 'a' }, null])
    assert.equal(record.ports.length, 1)
    assert.ok(record.pid)
    for (const ms of Object.values({ ...record.timings, pull_ms: 0, create_ms: 0 })) assert.ok((ms ?? -1) >= 0)
    assert.equal(bench.view.lookup('web').answer, 'open')
    assert.equal(bench.runner.running(row.record.id), 1)
  })

  it('every step is durable before the next is taken', async (t) => {
    const bench = await openSupervisor(t)
    const seen: string[] = []
    bench.view.onChange(({ record }) => seen.push(`${record.state} after ${bench.runner.calls.length} calls`))
    await bench.in(await bench.spawn(), 'running')
    assert.deepEqual(seen.slice(0, 4), [
      'requested after 0 calls',
      'preparing after 0 calls',
      'starting after 1 calls',
      'starting after 2 calls',
    ])
  })

  it('F14: the same request id again gives the same service, also while its row is being written', async (t) => {
    const bench = await openSupervisor(t)
    const request = { kind: 'native', requestId: 'req-1', environment: { A: '1' } }
    const all = await Promise.all(Array.from({ length: 50 }, () => bench.supervisor.spawn(request)))
    assert.equal(new Set(all.map(({ row }) => row.record.id)).size, 1)
    assert.equal(all.filter(({ created }) => created).length, 1)
    const row = await bench.in(all[0]?.row ?? assert.fail(), 'running')
    const again = await bench.supervisor.spawn(request)
    assert.deepEqual([again.created, again.row], [false, row])
    assert.equal(bench.runner.calls.filter((call) => call.startsWith('start ')).length, 1)
  })

  it('F14: the same request id again after a restart of Hive, and after removal', async (t) => {
    const request = { kind: 'native', requestId: 'req-1', name: 'web' }
    const first = await openSupervisor(t)
    const { row } = await first.supervisor.spawn(request)
    await first.in(row, 'running')
    await first.close()
    const second = await openSupervisor(t, { directory: first.directory ?? '', runner: first.runner })
    const again = await second.supervisor.spawn(request)
    assert.deepEqual([again.created, again.row.record.id], [false, row.record.id])
    await second.intend(row, { desired: 'removed' })
    await second.in(row, 'removed')
    await second.close()
    const third = await openSupervisor(t, { directory: first.directory ?? '', runner: first.runner })
    const final = await third.supervisor.spawn(request)
    assert.deepEqual([final.created, final.row.record.state], [false, 'removed'])
    await assert.rejects(third.spawn({ requestId: 'req-1' }), refusedAs('HIVE_REQUEST_ID_REUSED'))
    assert.equal(first.runner.calls.filter((call) => call.startsWith('start ')).length, 1)
  })

  it('F14: a request id with another body is refused, also while the first is being written', async (t) => {
    const bench = await openSupervisor(t)
    const first = bench.spawn({ requestId: 'req-1', setupToken: 'a' })
    await assert.rejects(bench.spawn({ requestId: 'req-1', setupToken: 'b' }), refusedAs('HIVE_REQUEST_ID_REUSED'))
    await first
    await assert.rejects(bench.spawn({ requestId: 'req-1' }), refusedAs('HIVE_REQUEST_ID_REUSED'))
  })

  it('F15: of 50 spawns of one name at once, one wins', async (t) => {
    const bench = await openSupervisor(t)
    const all = await Promise.allSettled(Array.from({ length: 50 }, () => bench.spawn({ name: 'web' })))
    assert.deepEqual(outcomes(all), { fulfilled: 1, codes: ['HIVE_NAME_TAKEN'] })
  })

  it('F15: a name stays taken until its cocoon is removed, and the answer says by whom', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    await bench.intend(row, { desired: 'stopped' })
    await bench.in(row, 'stopped')
    await assert.rejects(bench.spawn({ name: 'web' }), (error) => {
      assert.ok(isHiveError(error, 'HIVE_NAME_TAKEN'))
      assert.equal((error.extra['service'] as { id: string }).id, row.record.id)
      return true
    })
    await bench.intend(row, { desired: 'removed' })
    await bench.in(row, 'removed')
    const next = await bench.in(await bench.spawn({ name: 'web' }), 'running')
    assert.notEqual(next.record.id, row.record.id)
    assert.equal(bench.view.byName('web')?.record.id, next.record.id)
  })

  it('a name may be written with the prefix of its source', async (t) => {
    const bench = await openSupervisor(t)
    const row = await bench.spawn({ name: 'cocoons:web', requestId: 'r' })
    assert.deepEqual([row.record.name, row.record.fqn], ['web', 'cocoons:web'])
    assert.equal((await bench.spawn({ name: 'web', requestId: 'r' })).record.id, row.record.id)
    await assert.rejects(bench.spawn({ name: 'cocoons:Web' }), refusedAs('HIVE_REQUEST_INVALID'))
  })

  it('200 cocoons at once get 200 names and 200 ports', async (t) => {
    const bench = await openSupervisor(t)
    const rows = await Promise.all(Array.from({ length: 200 }, () => bench.spawn()))
    const running = await Promise.all(rows.map((row) => bench.in(row, 'running')))
    assert.equal(new Set(running.map(({ record }) => record.ports[0]?.host_port)).size, 200)
    assert.equal(new Set(running.map(({ record }) => record.name)).size, 200)
  })

  it('an unknown kind, a runner that is down and a shutdown leave nothing behind', async (t) => {
    const runner = new FakeRunner()
    const bench = await openSupervisor(t, { runner })
    for (const kind of ['nope', '__proto__', 'constructor', ''])
      await assert.rejects(bench.spawn({ kind }), refusedAs('HIVE_KIND_UNKNOWN'))
    runner.unreachable = true
    await assert.rejects(bench.spawn({ requestId: 'r' }), refusedAs('HIVE_RUNNER_UNAVAILABLE'))
    runner.unreachable = false
    await assert.rejects(bench.spawn({ name: 'No' }), refusedAs('HIVE_REQUEST_INVALID'))
    assert.deepEqual(await bench.table.load(), [])
    await bench.spawn({ requestId: 'r', labels: { other: 'body' } })
    const closed = bench.supervisor.close()
    await assert.rejects(bench.spawn(), refusedAs('HIVE_SHUTTING_DOWN'))
    await closed
  })

  it('a row that cannot be written is no service: name, request id and port stay free', async (t) => {
    const bench = await openSupervisor(t, { kinds: [fixedPort], runner: new FakeRunner({ type: 'docker' }) })
    await bench.table.close()
    const request = { name: 'web', requestId: 'r' }
    const both = await Promise.allSettled([bench.spawn(request), bench.spawn(request)])
    assert.deepEqual(outcomes(both), { fulfilled: 0, codes: ['HIVE_STORE_FAILED'] })
    await assert.rejects(
      bench.spawn({ name: 'web', requestId: 'r', setupToken: 'other' }),
      refusedAs('HIVE_STORE_FAILED'),
    )
    assert.equal([...bench.view.rows()].length, 0)
    assert.deepEqual(bench.runner.calls, [])
  })
})

describe('spawn within limits', { concurrency: 4 }, () => {
  it('HIVE_MAX_COCOONS counts what is active, also what is just being written', async (t) => {
    const bench = await openSupervisor(t, { maxCocoons: 3 })
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => bench.spawn()))
    assert.deepEqual(outcomes(all), { fulfilled: 3, codes: ['HIVE_CAPACITY'] })
    const [row] = [...bench.view.rows()]
    await bench.in(row ?? assert.fail(), 'running')
    await bench.intend(row ?? assert.fail(), { desired: 'stopped' })
    await bench.in(row ?? assert.fail(), 'stopped')
    await bench.spawn()
    await assert.rejects(bench.spawn(), refusedAs('HIVE_CAPACITY'))
  })

  it('HIVE_MAX_COCOONS holds for starting an ended one again, too', async (t) => {
    const bench = await openSupervisor(t, { maxCocoons: 1 })
    const row = await bench.in(await bench.spawn(), 'running')
    await bench.intend(row, { desired: 'running', again: true })
    await bench.when(row, ({ record }) => record.attempt === 2 && record.ready)
    await bench.intend(row, { desired: 'stopped' })
    await bench.in(row, 'stopped')
    await bench.spawn()
    await assert.rejects(bench.intend(row, { desired: 'running' }), refusedAs('HIVE_CAPACITY'))
    await bench.intend(row, { desired: 'removed' })
    await bench.in(row, 'removed')
  })

  it('F38: the second spawn with one fixed host port is refused, before and after the first is launched', async (t) => {
    const runner = new FakeRunner({ type: 'docker' })
    const release = runner.hold('prepare')
    const bench = await openSupervisor(t, { runner, kinds: [fixedPort] })
    const all = await Promise.allSettled([bench.spawn(), bench.spawn()])
    assert.deepEqual(outcomes(all), { fulfilled: 1, codes: ['HIVE_PORT_TAKEN'] })
    await assert.rejects(bench.spawn(), refusedAs('HIVE_PORT_TAKEN'))
    release()
    const [row] = [...bench.view.rows()]
    const { record } = await bench.in(row ?? assert.fail(), 'running')
    assert.deepEqual(record.ports[0], { port: 80, host: '127.0.0.1', host_port: 9_000, protocol: 'tcp' })
    await assert.rejects(bench.spawn(), refusedAs('HIVE_PORT_TAKEN'))
    await bench.intend(row ?? assert.fail(), { desired: 'removed' })
    await bench.in(row ?? assert.fail(), 'removed')
    await bench.in(await bench.spawn(), 'running')
  })

  it('F38: a fixed port is still held after a restart of Hive in the middle of a pull', async (t) => {
    const runner = new FakeRunner({ type: 'docker' })
    runner.hold('prepare')
    const first = await openSupervisor(t, { runner, kinds: [fixedPort] })
    const row = await first.spawn()
    await first.in(row, 'preparing')
    await first.close()
    const second = await openSupervisor(t, { runner, kinds: [fixedPort], directory: first.directory ?? '' })
    await assert.rejects(second.spawn(), refusedAs('HIVE_PORT_TAKEN'))
  })

  it('no more launches at once than HIVE_MAX_STARTS, and the others come after', async (t) => {
    const runner = new FakeRunner()
    const bench = await openSupervisor(t, { runner, maxStarts: 3 })
    const release = runner.hold('start')
    const rows = await Promise.all(Array.from({ length: 10 }, () => bench.spawn()))
    await Promise.all(rows.map((row) => bench.in(row, 'starting')))
    assert.equal(runner.calls.filter((call) => call.startsWith('start ')).length, 3)
    release()
    await Promise.all(rows.map((row) => bench.in(row, 'running')))
  })

  it('A21: secrets are in no log line, row or answer', async (t) => {
    const lines: string[] = []
    const kinds = [scriptKind('native', { environment: { KEY: 'planted-kind' } })]
    const bench = await openSupervisor(t, { kinds, log: (line) => lines.push(line) })
    const request = { setupToken: 'planted-token', environment: { A: 'planted-request' } }
    const row = await bench.in(await bench.spawn(request), 'running')
    await bench.runner.exit(row.record.id, { code: 1, signal: null, oom: false })
    const failed = await bench.in(row, 'failed')
    assert.ok(lines.length > 4)
    const { sealed: _sealed, ...rest } = failed
    assert.equal(/planted/.test(lines.join('') + JSON.stringify([rest, bench.view.present(failed)])), false)
  })
})
