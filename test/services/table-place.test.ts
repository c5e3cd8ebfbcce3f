import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { copyFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import type { EventQuery } from '../../src/services/table/event-rows.ts'
import { openServiceTable, type StateStore, type TableTrouble } from '../../src/services/table/table.ts'
import { until, within } from '../support/deadline.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

async function opened(t: TestContext, directory: string) {
  const first = Promise.withResolvers<TableTrouble>()
  const table = await openServiceTable(directory, first.resolve)
  t.after(() => table.close())
  return { table, trouble: () => within(first.promise, 20_000, 'the word of the trouble') }
}

async function namesIn(table: StateStore): Promise<string[]> {
  return (await table.load()).map(({ record }) => record.name).sort()
}

describe('the service table', () => {
  it('F7: a read that fails fails alone', async (t) => {
    const { table } = await opened(t, await tempDirectory(t))
    const unreadable = { after: {}, limit: 1, service: null } as unknown as EventQuery
    await assert.rejects(table.events(unreadable), (error) => isHiveError(error, 'HIVE_STORE_FAILED'))
    await table.write(requestedRow({ name: 'a' }))
    assert.deepEqual([await namesIn(table), table.healthy], [['a'], true])
  })
})

describe('the files of the table under a running Hive', () => {
  it('F12: without its lock file no second Hive gets in either, and the first goes on', async (t) => {
    const directory = await tempDirectory(t)
    const { table } = await opened(t, directory)
    await table.write(requestedRow({ name: 'a' }))
    await rm(join(directory, 'lock.db'))
    // The first refusal leaves a new lock file behind, which nobody holds.
    for (const how of ['removed', 'replaced'])
      await assert.rejects(openServiceTable(directory), /another Hive uses this state directory/, how)
    await table.write(requestedRow({ name: 'b' }))
    assert.deepEqual(await namesIn(table), ['a', 'b'])
    await table.close()
    const { table: next } = await opened(t, directory)
    assert.deepEqual(await namesIn(next), ['a', 'b'])
  })

  it('F12: with another table in its place it writes nothing more, and says that it is lost', async (t) => {
    const directory = await tempDirectory(t)
    const { table, trouble } = await opened(t, directory)
    await table.write(requestedRow())
    for (const name of ['lock.db', 'hive.db', 'hive.db-wal']) await rm(join(directory, name))
    const { table: second } = await opened(t, directory)
    await second.write(requestedRow({ name: 'second' }))
    await assert.rejects(table.write(requestedRow()), (error) => isHiveError(error, 'HIVE_STORE_FAILED'))
    const { isLost, trouble: text } = await trouble()
    assert.deepEqual([isLost, /replaced/.test(text)], [true, true], text)
    assert.deepEqual(await namesIn(second), ['second'])
  })

  it('F11: moved away, it is said without a write, and it goes on when it is back', async (t) => {
    const directory = await tempDirectory(t)
    const { table, trouble } = await opened(t, directory)
    await table.write(requestedRow({ name: 'a' }))
    await rename(directory, `${directory}-away`)
    t.after(() => rm(`${directory}-away`, { recursive: true, force: true }))
    assert.equal((await trouble()).isLost, false)
    assert.equal(table.healthy, false)
    await rename(`${directory}-away`, directory)
    await until(() => table.healthy, 20_000, 'recovery without a write')
    await table.write(requestedRow({ name: 'b' }))
    assert.deepEqual(await namesIn(table), ['a', 'b'])
  })

  it('F11: deleted, what it held is saved beside it, and can be put back', async (t) => {
    const directory = await tempDirectory(t)
    const { table, trouble } = await opened(t, directory)
    await table.write(requestedRow({ name: 'a' }))
    await rm(join(directory, 'hive.db'))
    const [saved = ''] = /hive\.db\.saved-\d+/.exec((await trouble()).trouble) ?? []
    await assert.rejects(table.write(requestedRow()), (error) => isHiveError(error, 'HIVE_STORE_FAILED'))
    // As if it was killed now: its log is still there.
    const copy = await tempDirectory(t)
    await copyFile(join(directory, saved), join(copy, 'hive.db'))
    await copyFile(join(directory, 'hive.db-wal'), join(copy, 'hive.db-wal'))
    const { table: next } = await opened(t, copy)
    assert.deepEqual(await namesIn(next), ['a'])
    await next.write(requestedRow({ name: 'b' }))
  })

  it('F11: its log removed, nothing of what was written is lost', async (t) => {
    const directory = await tempDirectory(t)
    const { table } = await opened(t, directory)
    const log = join(directory, 'hive.db-wal')
    await table.write(requestedRow({ name: 'a' }))
    await rm(log)
    await until(() => existsSync(log), 20_000, 'a new log, without a write')
    await rm(log)
    await table.write(requestedRow({ name: 'b' }))
    // What the next Hive would find if this one died now.
    const copy = await tempDirectory(t)
    for (const name of ['hive.db', 'hive.db-wal']) await copyFile(join(directory, name), join(copy, name))
    const { table: next } = await opened(t, copy)
    assert.deepEqual(await namesIn(next), ['a', 'b'])
  })
})
