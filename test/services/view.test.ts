import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SERVICE_STATES, type ServiceRow, type ServiceState } from '../../src/services/state/record.ts'
import { intend } from '../../src/services/state/step.ts'
import { ServiceView } from '../../src/services/view.ts'
import { within } from '../support/deadline.ts'
import { changedRow, FACTS, requestedRow, rowIn, scriptKind, through, wished } from '../support/service-row.ts'

function viewOf(...rows: readonly ServiceRow[]): ServiceView {
  const view = new ServiceView()
  for (const row of rows) view.publish(row)
  return view
}

function openView(row: ServiceRow): ServiceView {
  const view = viewOf(row)
  view.setListening(row.record.id, row.record.attempt)
  return view
}

describe('lookup', () => {
  const ANSWERS: Readonly<Record<ServiceState, unknown>> = {
    requested: { answer: 'waiting', retryAfterS: 1, state: 'requested' },
    preparing: { answer: 'waiting', retryAfterS: 1, state: 'preparing' },
    starting: { answer: 'waiting', retryAfterS: 1, state: 'starting' },
    running: 'open',
    stopping: { answer: 'ended', state: 'stopping' },
    stopped: { answer: 'ended', state: 'stopped' },
    rejected: { answer: 'ended', state: 'rejected' },
    failed: { answer: 'ended', state: 'failed' },
    lost: { answer: 'ended', state: 'lost' },
    removed: { answer: 'removed' },
  }
  for (const state of SERVICE_STATES) {
    it(`a ${state} service answers ${JSON.stringify(ANSWERS[state])}`, () => {
      const answer = openView(rowIn(state, { name: 'web' })).lookup('web')
      assert.deepEqual(answer.answer === 'open' ? 'open' : answer, ANSWERS[state])
    })
  }

  it('an open route is a snapshot of the current id and attempt', () => {
    const row = rowIn('running', { name: 'web' })
    const answer = openView(row).lookup('web')
    assert.deepEqual(answer.answer === 'open' && answer.route, {
      id: row.record.id,
      attempt: 1,
      name: 'web',
      kind: 'native',
      endpoint: FACTS.launched.endpoint,
      ports: row.leases,
      stripPrefix: true,
      allowOrigins: [],
      activity: null,
    })
  })

  it('a route opens only once the listener of this very attempt was seen', () => {
    const row = rowIn('running', { name: 'web' })
    const view = viewOf(row)
    const state = 'running, but does not listen on its port yet'
    assert.deepEqual(view.lookup('web'), { answer: 'waiting', retryAfterS: 1, state })
    view.setListening(row.record.id, 2)
    assert.equal(view.lookup('web').answer, 'waiting')
    view.setListening(row.record.id, 1)
    assert.equal(view.lookup('web').answer, 'open')
  })

  it('what is to be started again waits, what is to be stopped does not', () => {
    const restarting = through(
      wished(rowIn('running', { name: 'web' }), { desired: 'running', again: true }),
      FACTS.stopping,
    )
    assert.equal(viewOf(restarting).lookup('web').answer, 'waiting')
    assert.equal(viewOf(through(restarting, FACTS.stopped)).lookup('web').answer, 'waiting')
    assert.equal(
      viewOf(wished(rowIn('starting', { name: 'web' }), { desired: 'stopped' })).lookup('web').answer,
      'ended',
    )
  })

  it('a route closes with the wish to stop or start again, not only when the stop begins', () => {
    const row = rowIn('running', { name: 'web' })
    const answer = (request: Parameters<typeof wished>[1]) => openView(wished(row, request)).lookup('web')
    assert.deepEqual(answer({ desired: 'running', again: true }), {
      answer: 'waiting',
      retryAfterS: 1,
      state: 'stopping',
    })
    assert.deepEqual(answer({ desired: 'stopped' }), { answer: 'ended', state: 'stopping' })
    assert.deepEqual(answer({ desired: 'removed' }), { answer: 'ended', state: 'stopping' })
  })

  it('woken before its stop has begun, it is asleep until the next attempt is ready', () => {
    const kind = scriptKind('native', { idleTimeoutMs: 1, wake: true })
    const idle = changedRow(intend(rowIn('running', { name: 'web', kind }), { desired: 'stopped', by: 'idle' }))
    const woken = changedRow(intend(idle, { desired: 'running', by: 'wake' }))
    for (const row of [idle, woken, through(woken, FACTS.stopping), through(woken, FACTS.stopping, FACTS.stopped)])
      assert.equal(openView(row).lookup('web').answer, 'sleeping', `${row.record.state} by ${row.intent.by}`)
  })

  it('a failing one waits, one without an endpoint has none, an unknown name is unknown', () => {
    const row = rowIn('running', { name: 'web' })
    const failing = openView({ ...row, record: { ...row.record, health: 'failing' } }).lookup('web')
    const state = 'running, but fails its health checks'
    assert.deepEqual(failing, { answer: 'waiting', retryAfterS: 1, state })
    assert.equal(openView({ ...row, endpoint: null }).lookup('web').answer, 'no-endpoint')
    for (const name of ['nobody', '__proto__', 'constructor', ''])
      assert.equal(openView(row).lookup(name).answer, 'unknown')
  })

  it('I6: the name leads to the living service, never to one that had it before', () => {
    const dead = rowIn('removed', { name: 'web', now: '2026-01-01T00:00:00.000Z' })
    const living = rowIn('running', { name: 'web' })
    for (const rows of [
      [dead, living],
      [living, dead],
    ]) {
      const view = viewOf(...rows)
      view.setListening(living.record.id, 1)
      const answer = view.lookup('web')
      assert.equal(answer.answer === 'open' && answer.route.id, living.record.id)
      assert.equal(view.byName('web')?.record.id, living.record.id)
      view.forget(dead)
      assert.equal(view.lookup('web').answer, 'open')
      assert.equal(view.byId(dead.record.id), null)
    }
  })

  it('among the dead a name leads to the one removed last, and to nobody once that is forgotten', () => {
    const old = { ...rowIn('removed', { name: 'web' }), removedAt: '2026-01-01T00:00:00.000Z' }
    const newer = { ...rowIn('removed', { name: 'web' }), removedAt: '2026-01-02T00:00:00.000Z' }
    for (const rows of [
      [old, newer],
      [newer, old],
    ])
      assert.equal(viewOf(...rows).byName('web')?.record.id, newer.record.id)
    const view = viewOf(newer)
    view.forget(newer)
    assert.deepEqual([view.lookup('web'), view.byName('web')], [{ answer: 'unknown' }, null])
  })
})

describe('onClosed and onChange', () => {
  it('onClosed tells of each attempt that leaves running, once', () => {
    const row = rowIn('running', { name: 'web' })
    const view = openView(row)
    const closed: unknown[] = []
    const off = view.onClosed((what) => closed.push(what))
    view.publish(through(row, FACTS.trouble))
    assert.deepEqual(closed, [])
    const stopping = through(wished(row, { desired: 'running', again: true }), FACTS.stopping)
    view.publish(stopping)
    view.publish(through(stopping, FACTS.stopped))
    assert.deepEqual(closed, [{ id: row.record.id, attempt: 1 }])
    off()
    view.publish(row)
    view.publish(stopping)
    assert.equal(closed.length, 1)
  })

  it('onClosed tells of an end of its own, too', () => {
    for (const fact of [FACTS.exited, FACTS.gone]) {
      const row = rowIn('running')
      const view = viewOf(row)
      const closed: unknown[] = []
      view.onClosed((what) => closed.push(what))
      view.publish(through(row, fact))
      assert.deepEqual(closed, [{ id: row.record.id, attempt: 1 }])
    }
  })

  it('onChange gives the new row and the one before', () => {
    const row = rowIn('requested')
    const view = new ServiceView()
    const seen: [number, number | undefined][] = []
    const off = view.onChange((now, previous) => seen.push([now.record.revision, previous?.record.revision]))
    view.publish(row)
    view.publish(through(row, FACTS.preparing))
    off()
    view.publish(row)
    assert.deepEqual(seen, [
      [1, undefined],
      [2, 1],
    ])
  })
})

describe('until', () => {
  it('resolves at once, with a later row, or with null on abort, and leaves no listener behind', async () => {
    const row = requestedRow()
    const view = viewOf(row)
    const { id } = row.record
    const never = new AbortController().signal
    assert.equal(await view.until(id, () => true, never), row)
    const waiting = view.until(id, ({ record }) => record.state === 'preparing', never)
    view.publish(requestedRow())
    view.publish(through(row, FACTS.preparing))
    assert.equal((await within(waiting, 1_000, 'until'))?.record.state, 'preparing')
    assert.equal(await view.until(id, () => false, AbortSignal.abort()), null)
    const abort = new AbortController()
    const given = view.until(id, () => false, abort.signal)
    abort.abort()
    assert.equal(await within(given, 1_000, 'until'), null)
    let asked = 0
    const counting = view.until(id, () => ++asked > 10, AbortSignal.abort())
    view.publish(through(row, FACTS.preparing))
    await counting
    assert.equal(asked, 1)
  })
})
