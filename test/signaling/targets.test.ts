import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { openServiceTable, type ServiceTable } from '../../src/services/table/table.ts'
import { ServiceView } from '../../src/services/view.ts'
import { TerminateTargets } from '../../src/signaling/targets.ts'
import { until } from '../support/deadline.ts'
import { rowIn } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const [A, B, C] = ['a1'.repeat(32), 'b2'.repeat(32), `a1a1${'c3'.repeat(30)}`]

function withContainer(row: ServiceRow, container_id: string): ServiceRow {
  return { ...row, record: { ...row.record, container_id } }
}

async function openTargets(table: ServiceTable, view: ServiceView): Promise<TerminateTargets> {
  const targets = new TerminateTargets(view, table, pino({ level: 'silent' }))
  await targets.load()
  return targets
}

async function openTable(t: TestContext): Promise<ServiceTable> {
  const table = await openServiceTable(await tempDirectory(t))
  t.after(() => table.close())
  return table
}

describe('what a terminate means', () => {
  test('1.1: a name, its full form, the service id, the container id, an unambiguous beginning of 4 or more', async (t) => {
    const view = new ServiceView()
    const targets = await openTargets(await openTable(t), view)
    const [one, two] = [withContainer(rowIn('running'), A), withContainer(rowIn('removed'), B)]
    for (const row of [one, two]) view.publish(row)
    const found = (text: string) => {
      const answer = targets.find(text)
      return typeof answer === 'string' ? answer : answer.row.record.id
    }
    const { id, name } = one.record
    for (const text of [name, `cocoons:${name}`, id, A, A.slice(0, 12), A.slice(0, 4)]) assert.equal(found(text), id)
    assert.equal(found(B.slice(0, 12)), two.record.id, 'removed ones are known, too')
    for (const text of ['a1a', 'nobody', `${A}0`, 'cocoons:', '', '__proto__', 'constructor'])
      assert.equal(found(text), 'unknown', text)
    view.publish(withContainer(rowIn('running'), C))
    assert.equal(found('a1a1'), 'ambiguous')
    assert.equal(found('a1a1a'), id)
  })

  test('issue 5.2: a container id that was left behind by a re-creation, also after a restart, until all is forgotten', async (t) => {
    const table = await openTable(t)
    const view = new ServiceView()
    const targets = await openTargets(table, view)
    const row = withContainer(rowIn('running'), A)
    view.publish(row)
    view.publish(withContainer(row, B))
    for (const text of [A, B, 'a1a1']) assert.deepEqual(targets.find(text), { row: withContainer(row, B) })
    await until(async () => (await table.documents('former_containers')).size === 1, 5_000, 'the entry')
    const later = await openTargets(table, view)
    assert.notEqual(later.find(A), 'unknown')
    view.forget(withContainer(row, B))
    assert.equal(later.find(A), 'unknown')
    await openTargets(table, view)
    assert.equal((await table.documents('former_containers')).size, 0)
  })
})
