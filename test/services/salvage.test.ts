import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { replaceTable, salvage } from '../../src/services/table/salvage.ts'
import { openServiceTable } from '../../src/services/table/table.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const PAGE = 4096
/** First byte of a leaf of an index, which a table without row ids is (sqlite.org/fileformat2.html#b_tree_pages). */
const LEAF = 0x0a

async function tableOf(t: TestContext, count: number) {
  const directory = await tempDirectory(t)
  const table = await openServiceTable(directory)
  const rows = Array.from({ length: count }, () => requestedRow({ id: randomUUID() }))
  const events = [{ at: new Date(0).toISOString(), service: null, body: '{}' }]
  await Promise.all(rows.map((row) => table.write(row, events)))
  await table.putDocument('kept', 'a', { b: 1 })
  await table.close()
  return { directory, ids: rows.map(({ record }) => record.id) }
}

/** Tears so many leaves that hold rows, spread over the file. @returns the ids of which something stood there. */
async function tear(directory: string, ids: readonly string[], count: number): Promise<Set<string>> {
  const file = join(directory, 'hive.db')
  const bytes = await readFile(file)
  const leaves: number[] = []
  for (let at = 0; at < bytes.length; at += PAGE)
    if (bytes[at] === LEAF && bytes.subarray(at, at + PAGE).includes('"record":{"id"')) leaves.push(at)
  const torn = new Set<string>()
  for (let n = 1; n <= count; n++) {
    const at = leaves[Math.floor((n * leaves.length) / (count + 1))] ?? assert.fail('there is no leaf')
    const page = bytes.subarray(at, at + PAGE)
    for (const id of ids) if (page.includes(id)) torn.add(id)
    page.fill(0xee)
  }
  await writeFile(file, bytes)
  return torn
}

describe('salvage', () => {
  it('F11: gets past every torn page, and loses only what stood there', async (t) => {
    const { directory, ids } = await tableOf(t, 120)
    const torn = await tear(directory, ids, 4)
    assert.ok(torn.size > 3 && torn.size < 60, `${torn.size} are torn`)
    const { rows, documents, lastEvent } = salvage(directory)
    const found = new Set(rows.map(({ record }) => record.id))
    const sorted = [...ids].sort()
    const isBetweenTorn = (_id: string, at: number) => torn.has(sorted[at - 1] ?? '') && torn.has(sorted[at + 1] ?? '')
    const lost = sorted.filter((id, at) => !found.has(id) && !torn.has(id) && !isBetweenTorn(id, at))
    assert.deepEqual(lost, [])
    assert.equal(lastEvent, 120)
    assert.ok(documents.some(({ collection, key, body }) => collection === 'kept' && key === 'a' && body === '{"b":1}'))
  })

  it('F11: of a table whose every page is torn finds nothing, and does not take long about it', async (t) => {
    const { directory } = await tableOf(t, 40)
    const file = join(directory, 'hive.db')
    const bytes = await readFile(file)
    await writeFile(file, Buffer.concat([bytes.subarray(0, PAGE), Buffer.alloc(bytes.length - PAGE, 0xee)]))
    assert.deepEqual(salvage(directory).rows, [])
  })

  it('F11: what was salvaged stands in the new table: rows, documents, and no number of an event comes twice', async (t) => {
    const { directory, ids } = await tableOf(t, 3)
    await replaceTable(directory, salvage(directory), 'now')
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    assert.deepEqual((await table.load()).map(({ record }) => record.id).sort(), [...ids].sort())
    assert.deepEqual(await table.documents('kept'), new Map([['a', { b: 1 }]]))
    await table.addEvents([{ at: new Date(0).toISOString(), service: null, body: '{}' }])
    const page = await table.events({ after: 0, limit: 10, service: null })
    assert.deepEqual([page.events.map(({ seq }) => seq), page.last], [[4], 4])
  })
})
