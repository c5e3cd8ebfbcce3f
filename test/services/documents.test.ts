import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import { StateDirectoryError } from '../../src/services/table/state-directory.ts'
import { openServiceTable, type StateStore } from '../../src/services/table/table.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

async function openIn(t: TestContext, directory: string): Promise<StateStore> {
  const table = await openServiceTable(directory)
  t.after(() => table.close())
  return table
}

/** A state directory as the first format left it, with one row in it. */
async function formatOne(t: TestContext): Promise<{ readonly directory: string; readonly id: string }> {
  const directory = await tempDirectory(t)
  const table = await openServiceTable(directory)
  const row = requestedRow()
  await table.write(row)
  await table.close()
  change(directory, 'DROP TABLE documents; DROP TABLE events; PRAGMA user_version = 1')
  return { directory, id: row.record.id }
}

function change(directory: string, sql: string): void {
  const db = new DatabaseSync(join(directory, 'hive.db'))
  db.exec(sql)
  db.close()
}

function read(directory: string, sql: string): unknown {
  const db = new DatabaseSync(join(directory, 'hive.db'))
  const [value] = Object.values(db.prepare(sql).get() ?? {})
  db.close()
  return value
}

describe('the document store', () => {
  it('a body comes back after a restart as it was put last, by collection and key', async (t) => {
    const directory = await tempDirectory(t)
    const table = await openIn(t, directory)
    const body = { list: [1, null, true], text: 'ü "quoted" \u2028', deep: { empty: {} } }
    await table.putDocument('one', 'key/with: odd \u0001 text', 'an older body')
    await table.putDocument('one', 'key/with: odd \u0001 text', body)
    await table.putDocument('two', 'key/with: odd \u0001 text', 2)
    await table.close()
    const again = await openIn(t, directory)
    assert.deepEqual(await again.documents('one'), new Map([['key/with: odd \u0001 text', body]]))
    assert.deepEqual(await again.documents('two'), new Map([['key/with: odd \u0001 text', 2]]))
    assert.deepEqual(await again.documents('three'), new Map())
  })

  it('a dropped document is gone, dropping it again is fine, and its neighbours stay', async (t) => {
    const table = await openIn(t, await tempDirectory(t))
    for (const key of ['a', 'b']) await table.putDocument('x', key, key)
    await table.putDocument('y', 'a', 'other')
    await table.dropDocument('x', 'a')
    await table.dropDocument('x', 'a')
    assert.deepEqual([...(await table.documents('x')).keys()], ['b'])
    assert.deepEqual([...(await table.documents('y')).keys()], ['a'])
  })

  it('documents and rows that are written together share one transaction, in the order they came', async (t) => {
    const directory = await tempDirectory(t)
    const table = await openIn(t, directory)
    await table.putDocument('x', 'k', -1)
    const wal = join(directory, 'hive.db-wal')
    const before = (await stat(wal)).size
    const writes = Array.from({ length: 200 }, (_, n) => [
      ...(n % 10 === 0 ? [table.write(requestedRow())] : []),
      table.putDocument('x', 'k', n),
    ])
    await Promise.all(writes.flat())
    const grown = (await stat(wal)).size - before
    assert.ok(grown < 100 * 4096, `220 transactions would have made 220 frames; the log grew by ${grown} bytes`)
    assert.deepEqual([...(await table.documents('x')).values()], [199])
    assert.equal((await table.load()).length, 20)
  })

  it('a bad write fails alone: the documents beside it are kept', async (t) => {
    const table = await openIn(t, await tempDirectory(t))
    const row = requestedRow()
    await table.write(row)
    const twin = { ...row, record: { ...row.record, id: 'another id for the same name' } }
    const [before, bad, after] = await Promise.allSettled([
      table.putDocument('x', 'before', 1),
      table.write(twin),
      table.putDocument('x', 'after', 2),
    ])
    assert.deepEqual([before.status, bad.status, after.status], ['fulfilled', 'rejected', 'fulfilled'])
    assert.ok(bad.status === 'rejected' && isHiveError(bad.reason, 'HIVE_STORE_FAILED'))
    assert.deepEqual([...(await table.documents('x')).keys()].sort(), ['after', 'before'])
  })

  it('a put under way when the table closes is still written', async (t) => {
    const directory = await tempDirectory(t)
    const table = await openIn(t, directory)
    const put = table.putDocument('x', 'late', true)
    await Promise.all([put, table.close()])
    assert.deepEqual(await (await openIn(t, directory)).documents('x'), new Map([['late', true]]))
  })
})

describe('the steps from format 1 on', () => {
  it('F67: keeps every row and makes room for documents', async (t) => {
    const { directory, id } = await formatOne(t)
    const table = await openIn(t, directory)
    assert.deepEqual(
      (await table.load()).map(({ record }) => record.id),
      [id],
    )
    await table.putDocument('x', 'k', 1)
    await table.close()
    assert.equal(read(directory, 'PRAGMA user_version'), 3)
  })

  it('F67: happens whole or not at all', async (t) => {
    const { directory, id } = await formatOne(t)
    // Something in the way makes the step fail after its transaction has begun.
    change(directory, 'CREATE VIEW documents AS SELECT 1')
    await assert.rejects(openServiceTable(directory), (error) => error instanceof StateDirectoryError)
    assert.equal(read(directory, 'PRAGMA user_version'), 1)
    change(directory, 'DROP VIEW documents')
    const table = await openIn(t, directory)
    assert.deepEqual(
      (await table.load()).map(({ record }) => record.id),
      [id],
    )
  })
})
