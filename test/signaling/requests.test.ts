import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { HiveError } from '../../src/errors.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import type { TestHive } from '../support/hive.ts'
import {
  type App,
  openApp,
  openServer,
  openSignalingHive,
  type Received,
  registered,
  resultOf,
} from '../support/signaling.ts'

const KINDS = [{ id: 'fake', runner_type: 'script', runner_config: { command: 'true' } }]

interface Bench {
  readonly runner: FakeRunner
  readonly hive: TestHive
  readonly app: App
  spawn(requestId: string, body?: Record<string, unknown>): Promise<Received>
  terminate(requestId: string, target: string): Promise<Received>
}

async function openBench(t: TestContext, env: Record<string, string> = {}): Promise<Bench> {
  const server = await openServer(t)
  const runner = new FakeRunner()
  const hive = await openSignalingHive(t, server.url, { kinds: KINDS, drivers: [runner.driver()], env })
  await registered(hive)
  const app = await openApp(t, server.url)
  return {
    runner,
    hive,
    app,
    spawn(request_id, body = {}) {
      app.send({ type: 'spawn_cocoon', request_id, kind: 'fake', setup_token: 'tok-planted', ...body })
      return app.next(resultOf('spawn_cocoon', request_id))
    },
    terminate(request_id, container_id) {
      app.send({ type: 'terminate_cocoon', request_id, container_id })
      return app.next(resultOf('terminate_cocoon', request_id))
    },
  }
}

/** The HTTP record of a service, whatever its state. */
async function record(hive: TestHive, name: string) {
  const { body } = await hive.call('GET', `/services/${name}`)
  return body.service ?? body
}

describe('spawn', () => {
  test('issue 5.2: the result comes with the first running, and names the service', async (t) => {
    const { spawn, hive, runner } = await openBench(t)
    const release = runner.hold('start')
    const result = spawn('r1', { name: 'one' })
    await until(async () => (await record(hive, 'one')).state === 'starting', 10_000, 'the launch')
    assert.equal(hive.app.signaling?.status().pending, 1)
    release()
    assert.deepEqual(await result, {
      type: 'spawn_cocoon_result',
      request_id: 'r1',
      success: true,
      container_id: 'one',
    })
    const { state, request_id } = await record(hive, 'one')
    assert.deepEqual([state, request_id], ['running', 'r1'])
  })

  test('issue 5.2: a spawn that is held up blocks neither pongs nor other requests', async (t) => {
    const { spawn, terminate, hive, runner } = await openBench(t)
    const release = runner.hold('prepare')
    const slow = spawn('slow', { name: 'slow' })
    await until(async () => (await record(hive, 'slow')).state === 'preparing', 10_000, 'the pull')
    assert.equal((await terminate('t', 'nobody'))['success'], false)
    assert.equal((await spawn('bad', { kind: 'nope' }))['success'], false)
    await until(() => hive.app.signaling?.status().unsent === 0, 10_000, 'the pongs')
    release()
    assert.equal((await slow)['success'], true)
  })

  test('1.7: what cannot be made fails with the documented texts and nothing secret', async (t) => {
    const { spawn, app, hive } = await openBench(t, { HIVE_MAX_COCOONS: '1' })
    const server = hive.app.signaling
    assert.ok(server)
    const direct = (id: string, body: Record<string, unknown>) => spawn(id, body).then(({ error }) => error as string)
    assert.equal(
      await direct('a', { name: 'No Name!' }),
      'create service failed: /name must be 1-56 of a-z, 0-9 and -, begin and end with a letter or digit, without --',
    )
    assert.equal((await spawn('b', { name: 'one' }))['success'], true)
    assert.equal(await direct('c', { name: 'two' }), 'concurrency limit reached (max 1)')
    assert.match(await direct('d', { name: 'one' }), /^create service failed|^concurrency/)
    assert.doesNotMatch(JSON.stringify(app.received), /tok-planted/)
    assert.doesNotMatch(hive.log(), /tok-planted/)
  })

  test('issue 5.2: a launch that is refused, or that ends before it runs, is a failure with its reason', async (t) => {
    const { spawn, hive, runner } = await openBench(t)
    runner.failNext('start', new LaunchRefused('there is no such image'))
    assert.equal((await spawn('refused'))['error'], 'start service failed: there is no such image')
    const release = runner.hold('start')
    const result = spawn('r', { name: 'gone' })
    await until(async () => (await record(hive, 'gone')).state === 'starting', 10_000, 'the launch')
    await hive.call('DELETE', '/services/gone')
    release()
    assert.equal((await result)['error'], 'start service failed: it was stopped or removed before it was running')
  })

  test('issue 5.6: the same request while it is going on makes one cocoon and one result', async (t) => {
    const { app, hive, runner } = await openBench(t)
    const release = runner.hold('start')
    const body = { type: 'spawn_cocoon', request_id: 'twice', kind: 'fake', setup_token: 'x' }
    app.send(body)
    app.send(body)
    app.send({ ...body, setup_token: 'another' })
    await until(() => /being used for another request/.test(hive.log()), 10_000, 'all three')
    release()
    await app.next(resultOf('spawn_cocoon', 'twice'))
    await until(() => hive.app.signaling?.status().unsent === 0, 10_000, 'the receipt')
    assert.equal(app.count(resultOf('spawn_cocoon', 'twice')), 1)
    assert.equal((await hive.call('GET', '/services?include=removed')).body.services.length, 1)
    assert.equal(runner.calls.filter((call) => call.startsWith('start')).length, 1)
  })

  test('issue 5.2: the same request after its result is answered again, with the same service; HTTP shares the namespace', async (t) => {
    const { app, spawn, hive } = await openBench(t)
    const first = await spawn('again', { name: 'one' })
    await until(() => hive.app.signaling?.status().unsent === 0, 10_000, 'the receipt')
    app.send({ type: 'spawn_cocoon', request_id: 'again', kind: 'fake', setup_token: 'tok-planted', name: 'one' })
    await until(() => app.count(resultOf('spawn_cocoon', 'again')) === 2, 10_000, 'the second answer')
    assert.deepEqual(app.received.filter(resultOf('spawn_cocoon', 'again')), [first, first])
    const same = { kind: 'fake', name: 'one', request_id: 'again', setup_token: 'tok-planted' }
    assert.equal((await hive.call('POST', '/spawn', same)).status, 200)
    assert.equal((await hive.call('POST', '/spawn', { ...same, setup_token: 'x' })).status, 409)
    await hive.call('POST', '/spawn?wait=ready', { kind: 'fake', request_id: 'from-http', name: 'web' })
    assert.match((await spawn('from-http', { name: 'web' }))['error'], /request id was used for another request/)
  })
})

describe('terminate', () => {
  test('issue 5.2: takes name, cocoons:name and service id, and a removed one is success', async (t) => {
    const { spawn, terminate, hive } = await openBench(t)
    for (const name of ['one', 'two', 'three']) assert.equal((await spawn(name, { name }))['success'], true)
    const { id } = await record(hive, 'three')
    for (const [request, target, name] of [
      ['t1', 'one', 'one'],
      ['t2', 'cocoons:two', 'two'],
      ['t3', id, 'three'],
    ] as const) {
      const result = await terminate(request, target)
      assert.deepEqual(result, { type: 'terminate_cocoon_result', request_id: request, success: true })
      assert.equal((await record(hive, name)).state, 'removed', 'success means gone')
      assert.equal((await terminate(`${request} again`, target))['success'], true)
    }
    assert.equal((await terminate('t4', 'never'))['error'], 'container not found: never')
    assert.match(hive.log(), /"by":"signaling"/)
  })

  test('issue 5.2: waits for the grace of its cocoon, and a second one joins it', async (t) => {
    const { app, spawn, hive, runner } = await openBench(t)
    await spawn('s', { name: 'one' })
    const release = runner.hold('stop')
    for (const request_id of ['t1', 't2']) app.send({ type: 'terminate_cocoon', request_id, container_id: 'one' })
    await until(async () => (await record(hive, 'one')).state === 'stopping', 10_000, 'the stop')
    assert.equal(
      app.count(({ type }) => type === 'terminate_cocoon_result'),
      0,
    )
    release()
    for (const id of ['t1', 't2']) assert.equal((await app.next(resultOf('terminate_cocoon', id)))['success'], true)
  })

  test('issue 5.2: works on what HTTP made, and the other way round', async (t) => {
    const { spawn, terminate, hive } = await openBench(t)
    await hive.spawn({ kind: 'fake', name: 'web' })
    assert.equal((await terminate('t', 'web'))['success'], true)
    await spawn('s', { name: 'sig' })
    assert.equal((await hive.call('DELETE', '/services/sig')).status, 200)
  })
})

test('F8: a request that cannot be kept is refused, a result that cannot be kept is sent', async (t) => {
  const { spawn, terminate, hive, runner } = await openBench(t)
  const full = () => Promise.reject(new HiveError('HIVE_STORE_FULL', 'free some space'))
  const broken = t.mock.method(hive.app.serviceTable, 'putDocument', full)
  assert.match((await spawn('a', { name: 'one' }))['error'], /^create service failed: .*free some space$/)
  assert.equal(runner.calls.filter((call) => call.startsWith('prepare')).length, 0)
  broken.mock.restore()
  const release = runner.hold('start')
  const result = spawn('b', { name: 'two' })
  await until(async () => (await record(hive, 'two')).state === 'starting', 10_000, 'the launch')
  t.mock.method(hive.app.serviceTable, 'putDocument', full)
  release()
  assert.equal((await result)['success'], true)
  assert.match((await terminate('c', 'two'))['error'], /^delete service failed: .*free some space$/)
  assert.match(hive.log(), /a result could not be kept/)
})

test('issue 5.6: of a flood of 1,000 spawns exactly as many run as are allowed, and each is answered once', async (t) => {
  const limit = 20
  const { app, hive, runner } = await openBench(t, { HIVE_MAX_COCOONS: String(limit) })
  for (let n = 0; n < 1_000; n++)
    app.send({ type: 'spawn_cocoon', request_id: `flood-${n}`, kind: 'fake', setup_token: 'x' })
  const results = () => app.received.filter(({ type }) => type === 'spawn_cocoon_result')
  await until(() => results().length >= 1_000, 60_000, '1,000 results')
  await until(() => hive.app.signaling?.status().unsent === 0, 30_000, 'the receipts')
  const ids = new Set(results().map(({ request_id }) => request_id as string))
  assert.deepEqual([results().length, ids.size], [1_000, 1_000])
  const errors = results().flatMap(({ error }) => error ?? [])
  assert.deepEqual([errors.length, [...new Set(errors)]], [1_000 - limit, [`concurrency limit reached (max ${limit})`]])
  assert.equal(runner.calls.filter((call) => call.startsWith('start')).length, limit)
  // A receipt counts at once, and is written down behind the others.
  const owed = () => hive.app.serviceTable.documents('signaling')
  await until(async () => (await owed()).size === 0, 30_000, 'that nothing is owed any more')
})
