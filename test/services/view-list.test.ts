import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import type { ServiceFilter } from '../../src/services/page.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { ServiceView } from '../../src/services/view.ts'
import { rowIn } from '../support/service-row.ts'

function at(second: number): string {
  return new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString()
}

function viewOf(rows: readonly ServiceRow[]): ServiceView {
  const view = new ServiceView()
  for (const row of rows) view.publish(row)
  return view
}

function namesOf(view: ServiceView, filter: ServiceFilter): string[] {
  return view.list(filter, 100, null).services.map(({ name }) => name)
}

/** All pages, by their cursors. */
function walk(view: ServiceView, limit: number, filter: ServiceFilter = {}): string[] {
  const names: string[] = []
  let cursor: string | null = null
  for (let pages = 0; pages < 100; pages++) {
    const page = view.list(filter, limit, cursor)
    assert.ok(page.services.length <= limit)
    names.push(...page.services.map(({ name }) => name))
    cursor = page.nextCursor
    if (cursor === null) return names
  }
  return assert.fail('the pages never end')
}

describe('list', () => {
  const rows = Array.from({ length: 25 }, (_, n) => rowIn('requested', { name: `s-${n}`, now: at(Math.floor(n / 3)) }))
  const expected = [...rows]
    .sort((left, right) => {
      const [a, b] = [left, right].map(({ record }) => `${record.created_at} ${record.id}`) as [string, string]
      return a < b ? -1 : 1
    })
    .map(({ record }) => record.name)

  it('goes by created_at, then id, whatever the order of publishing', () => {
    assert.deepEqual(namesOf(viewOf(rows), {}), expected)
    assert.deepEqual(namesOf(viewOf(rows.toReversed()), {}), expected)
  })

  it('pages of any size give each service once', () => {
    for (const limit of [1, 2, 7, 24, 25, 26, 1_000]) assert.deepEqual(walk(viewOf(rows), limit), expected, `${limit}`)
  })

  it('the last page has no cursor, also when it is exactly full', () => {
    assert.equal(viewOf(rows).list({}, 25, null).nextCursor, null)
    assert.notEqual(viewOf(rows).list({}, 24, null).nextCursor, null)
    assert.deepEqual(viewOf([]).list({}, 10, null), { services: [], nextCursor: null })
  })

  it('what was spawned or forgotten between two pages moves none of the others', () => {
    const view = viewOf(rows)
    const first = view.list({}, 10, null)
    const last = rows.find(({ record }) => record.name === expected[9]) ?? assert.fail()
    view.forget(last)
    view.publish(rowIn('requested', { name: 'new', now: at(3_000) }))
    const rest = view.list({}, 100, first.nextCursor).services.map(({ name }) => name)
    assert.deepEqual(rest, [...expected.slice(10), 'new'])
  })

  it('A24: a cursor that no page gave is refused', () => {
    const garbage = ['', 'zzzz', '____', '💥', 'x'.repeat(10_000), Buffer.from('9999').toString('base64url')]
    for (const cursor of garbage)
      assert.throws(
        () => viewOf(rows).list({}, 100, cursor),
        (error) => isHiveError(error, 'HIVE_REQUEST_INVALID'),
        cursor.slice(0, 9),
      )
  })

  it('filters by kind, state and every label, and leaves out the removed unless asked', () => {
    const view = viewOf([
      rowIn('running', { name: 'a', now: at(1), labels: { team: 'x', tier: '1' } }),
      rowIn('failed', { name: 'b', now: at(2), labels: { team: 'x' } }),
      rowIn('removed', { name: 'c', now: at(3), labels: { team: 'x' } }),
      rowIn('stopped', { name: 'd', now: at(4) }),
    ])
    assert.deepEqual(namesOf(view, {}), ['a', 'b', 'd'])
    assert.deepEqual(namesOf(view, { includeRemoved: true }), ['a', 'b', 'c', 'd'])
    assert.deepEqual(namesOf(view, { states: ['failed', 'stopped'] }), ['b', 'd'])
    assert.deepEqual(namesOf(view, { states: [] }), [])
    assert.deepEqual(namesOf(view, { labels: { team: 'x' } }), ['a', 'b'])
    assert.deepEqual(namesOf(view, { labels: { team: 'x', tier: '1' } }), ['a'])
    assert.deepEqual(namesOf(view, { kind: 'native' }), ['a', 'b', 'd'])
    for (const kind of ['nothing', '', '__proto__']) assert.deepEqual(namesOf(view, { kind }), [])
    for (const label of ['toString', '__proto__', 'constructor'])
      assert.deepEqual(namesOf(view, { labels: { [label]: 'x' } }), [], label)
  })
})

describe('present', () => {
  it('says where a cocoon is reached, once its ports are known and until it is removed', () => {
    const view = new ServiceView()
    view.setOrigins({ base: 'http://127.0.0.1:8020', ofCocoon: (name) => `http://${name}.localhost:8020` })
    const urls = (row: ServiceRow) => [view.present(row).url, view.present(row).origin_url]
    assert.deepEqual(urls(rowIn('requested', { name: 'web' })), [null, null])
    const reached = ['http://127.0.0.1:8020/cocoons/web/', 'http://web.localhost:8020/']
    for (const state of ['starting', 'running', 'stopped'] as const)
      assert.deepEqual(urls(rowIn(state, { name: 'web' })), reached)
    assert.deepEqual(urls(rowIn('removed', { name: 'web' })), [null, null])
    view.setOrigins({ base: 'http://127.0.0.1:8020', ofCocoon: () => null })
    assert.equal(view.present(rowIn('running')).origin_url, null)
  })

  it('shows progress only while preparing, also when a word comes late', () => {
    const progress = {
      phase: 'pull',
      message: 'x',
      current_bytes: 1,
      total_bytes: 2,
      layers_done: null,
      layers_total: null,
    } as const
    const row = rowIn('preparing')
    const view = viewOf([row])
    view.setProgress(row.record.id, progress)
    assert.deepEqual(view.present(row).progress, progress)
    const after = { ...row, record: { ...row.record, state: 'stopping' as const } }
    view.publish(after)
    view.setProgress(row.record.id, progress)
    assert.equal(view.present(after).progress, null)
    view.setProgress('nobody', progress)
  })

  it('shows when the runner last vouched for it, and forgets that with the service', () => {
    const row = rowIn('running')
    const view = viewOf([row])
    assert.equal(view.present(row).observed_at, null)
    view.setObserved(row.record.id, at(9))
    assert.equal(view.present(row).observed_at, at(9))
    view.forget(row)
    assert.equal(view.present(row).observed_at, null)
  })

  it('holds nothing of the private row', () => {
    const row = rowIn('running')
    const keys = Object.keys(new ServiceView().present(row))
    for (const hidden of ['sealed', 'config', 'requestHmac', 'configHmac', 'handle', 'intent', 'leases'])
      assert.equal(keys.includes(hidden), false, hidden)
  })
})
