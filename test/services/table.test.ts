import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { isHiveError } from '../../src/errors.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { openServiceTable, type ServiceTable } from '../../src/services/table/table.ts'
import { within } from '../support/deadline.ts'
import { FACTS, requestedRow, rowIn, through, wished } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

async function openFresh(t: TestContext): Promise<{ readonly table: ServiceTable; readonly directory: string }> {
  const directory = await tempDirectory(t)
  return { table: await openIn(t, directory), directory }
}

async function openIn(t: TestContext, directory: string): Promise<ServiceTable> {
  const table = await openServiceTable(directory)
  t.after(() => table.close())
  return table
}

async function reopened(t: TestContext, directory: string, table: ServiceTable): Promise<readonly ServiceRow[]> {
  await table.close()
  return (await openIn(t, directory)).load()
}

const storeFailed = (error: unknown) => isHiveError(error, 'HIVE_STORE_FAILED')

/** A later version of a row; `pid` makes it distinguishable. */
function later(row: ServiceRow, pid: number): ServiceRow {
  return { ...row, record: { ...row.record, pid, revision: row.record.revision + 1 } }
}

describe('the service table', () => {
  it('a row comes back as it was written, its sealed bytes included', async (t) => {
    const { table, directory } = await openFresh(t)
    const row = { ...rowIn('running', { labels: { 'a/b': 'ü "quoted" \u2028' } }), sealed: randomBytesWithZero() }
    await table.write(row)
    const [read, ...more] = await reopened(t, directory, table)
    assert.deepEqual(more, [])
    assert.deepEqual({ ...read, sealed: null }, { ...row, sealed: null })
    assert.deepEqual(Buffer.from(read?.sealed ?? []), Buffer.from(row.sealed))
  })

  it('a row written again replaces itself; a purge takes it away; nothing else moves', async (t) => {
    const { table, directory } = await openFresh(t)
    const [one, two, three] = [requestedRow(), requestedRow(), requestedRow()]
    for (const row of [one, two, three]) await table.write(row)
    await table.write(through(two, FACTS.preparing))
    await table.purge(three.record.id)
    await table.purge('no such id')
    const rows = await reopened(t, directory, table)
    const states = new Map(rows.map(({ record }) => [record.id, record.state]))
    assert.deepEqual(
      states,
      new Map([
        [one.record.id, 'requested'],
        [two.record.id, 'preparing'],
      ]),
    )
  })

  it('writes that come together share one transaction, and the last of a row wins', async (t) => {
    const { table, directory } = await openFresh(t)
    const row = requestedRow()
    await table.write(row)
    const wal = join(directory, 'hive.db-wal')
    const before = (await stat(wal)).size
    await Promise.all(Array.from({ length: 200 }, (_, pid) => table.write(later(row, pid))))
    const grown = (await stat(wal)).size - before
    assert.ok(grown < 100 * 4096, `200 transactions would have made 200 frames; the log grew by ${grown} bytes`)
    assert.equal((await reopened(t, directory, table))[0]?.record.pid, 199)
  })

  it('one bad write in a group fails alone, wherever it stands', async (t) => {
    for (const at of [0, 2, 4]) {
      const { table, directory } = await openFresh(t)
      const taken = requestedRow({ name: 'taken' })
      await table.write(taken)
      const rows = Array.from({ length: 5 }, (_, n) => requestedRow({ name: n === at ? 'taken' : `free-${n}` }))
      const results = await Promise.allSettled(rows.map((row) => table.write(row)))
      assert.deepEqual(
        results.map(({ status }) => status),
        rows.map((_, n) => (n === at ? 'rejected' : 'fulfilled')),
      )
      const names = (await reopened(t, directory, table)).map(({ record }) => record.name)
      assert.equal(names.length, 5)
      assert.equal(names.filter((name) => name === 'taken').length, 1)
    }
  })

  it('F15: a live name is unique, and a tombstone frees it', async (t) => {
    const { table } = await openFresh(t)
    const first = rowIn('failed', { name: 'web' })
    await table.write(first)
    await assert.rejects(table.write(requestedRow({ name: 'web' })), storeFailed)
    await table.write(through(wished(first, { desired: 'removed' }), FACTS.removed))
    const second = requestedRow({ name: 'web' })
    await table.write(second)
    await assert.rejects(table.write(requestedRow({ name: 'web' })), storeFailed)
    assert.equal((await table.load()).length, 2)
  })

  it('F14: a request id is unique for as long as its row is there, removed or not', async (t) => {
    const { table } = await openFresh(t)
    const first = rowIn('removed', { requestId: 'req-1' })
    await table.write(first)
    await assert.rejects(table.write(requestedRow({ requestId: 'req-1' })), storeFailed)
    await table.purge(first.record.id)
    await table.write(requestedRow({ requestId: 'req-1' }))
  })

  it('a failed write is said by healthy, until one succeeds again', async (t) => {
    const { table } = await openFresh(t)
    assert.equal(table.healthy, true)
    await table.write(requestedRow({ name: 'web' }))
    await assert.rejects(table.write(requestedRow({ name: 'web' })), storeFailed)
    assert.equal(table.healthy, false)
    await table.write(requestedRow({ name: 'other' }))
    assert.equal(table.healthy, true)
  })

  it('close finishes what was written before it', async (t) => {
    const { table, directory } = await openFresh(t)
    const rows = Array.from({ length: 20 }, () => requestedRow())
    const writes = rows.map((row) => table.write(row))
    await table.close()
    await Promise.all(writes)
    const read = await (await openIn(t, directory)).load()
    assert.equal(read.length, 20)
  })

  it('after close everything fails with HIVE_STORE_FAILED, and closing again does nothing', async (t) => {
    const { table } = await openFresh(t)
    await table.close()
    await table.close()
    await assert.rejects(table.write(requestedRow()), storeFailed)
    await assert.rejects(table.purge(randomUUID()), storeFailed)
    await assert.rejects(table.load(), storeFailed)
  })

  it('when its worker has died everything pending and later fails with HIVE_STORE_FAILED', async (t) => {
    const born = once(process, 'worker')
    const { table } = await openFresh(t)
    const [worker] = (await born) as [Worker]
    await table.write(requestedRow())
    const end = worker.terminate()
    const pending = table.write(requestedRow())
    await assert.rejects(within(pending, 5_000, 'the pending write'), storeFailed)
    await end
    assert.equal(table.healthy, false)
    await assert.rejects(table.write(requestedRow()), storeFailed)
    await within(table.close(), 5_000, 'close')
  })

  it('two closes at once both settle', async (t) => {
    const { table } = await openFresh(t)
    await Promise.all([table.close(), table.close()])
  })

  it('a row that cannot be stored fails that write only', async (t) => {
    const { table } = await openFresh(t)
    const row = requestedRow()
    const broken = {
      ...row,
      sealed: 'not bytes' as unknown as Uint8Array,
      record: { ...row.record, name: null as never },
    }
    const results = await Promise.allSettled([table.write(broken), table.write(requestedRow())])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    )
  })
})

function randomBytesWithZero(): Uint8Array {
  return Uint8Array.from([0, 255, 0, 128, 10, 13, 39, 0])
}
