import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Secret } from '../../src/secret.ts'
import { signHiveId } from '../../src/signaling/signature.ts'
import { until } from '../support/deadline.ts'
import { openApp, openServer, type Received, SECRET } from '../support/signaling.ts'

const KIND = { id: 'k', runner_type: 'script', runner_config: {}, image: '' }
const REGISTER = {
  hive_id: 'h',
  version: '1.0.0',
  cocoon_kinds: [KIND],
  hive_id_signature: signHiveId(new Secret(SECRET), 'h'),
}
const COCOON_SECRET = 'Ab3_xY9-Kq7Lm2Np5Rs8Tv1Wz4Cd6Ef0Gh_jUoPiBnVw'
const of = (type: string) => (message: Received) => message['type'] === type

/** Sends and waits for an answer of one type. */
async function asks(t: TestContext, url: string, message: Received, answer: string): Promise<Received> {
  const client = await openApp(t, url)
  client.send(message)
  return client.next(of(answer))
}

describe('the dev server, generation 1', () => {
  test('1.1: lists hives with their kinds; kinds have read defaults', async (t) => {
    const server = await openServer(t, { generation: 1 })
    const register = { ...REGISTER, type: 'register_hive', cocoon_kinds: [{ id: 'k' }] }
    assert.deepEqual(await asks(t, server.url, register, 'hive_registered'), { type: 'hive_registered', hive_id: 'h' })
    const { hives } = await asks(t, server.url, { type: 'list_hives', access_token: '' }, 'hives_list')
    assert.match(hives[0].connected_at, /^\d{4}-\d\d-\d\dT/)
    const kinds = [{ id: 'k', runner_type: 'docker', runner_config: {}, image: '' }]
    delete hives[0].connected_at
    assert.deepEqual(hives, [{ hive_id: 'h', version: '1.0.0', status: 'online', cocoon_kinds: kinds }])
  })

  test('1.4: routes by kind, relays the result to the requester only, and terminates at the owner', async (t) => {
    const server = await openServer(t, { generation: 1 })
    const [other, owner] = [await openApp(t, server.url), await openApp(t, server.url)]
    const signed = (hive_id: string) => signHiveId(new Secret(SECRET), hive_id)
    for (const [hive, hive_id, id] of [
      [other, 'a', 'x'],
      [owner, 'b', 'k'],
    ] as const) {
      hive.send({
        ...REGISTER,
        type: 'register_hive',
        hive_id,
        hive_id_signature: signed(hive_id),
        cocoon_kinds: [{ id }],
      })
      await hive.next(of('hive_registered'))
    }
    const [app, bystander] = [await openApp(t, server.url), await openApp(t, server.url)]
    const spawn = { type: 'spawn_cocoon', request_id: 'r', kind: 'k', setup_token: 't', name: 'n' }
    app.send(spawn)
    assert.deepEqual(await owner.next(of('spawn_cocoon')), spawn)
    const result = { type: 'spawn_cocoon_result', request_id: 'r', success: true, container_id: 'c1' }
    owner.send(result)
    assert.deepEqual(await app.next(of('spawn_cocoon_result')), result)
    app.send({ type: 'terminate_cocoon', request_id: 'r', container_id: 'c1' })
    await owner.next(of('terminate_cocoon'))
    owner.send({ type: 'terminate_cocoon_result', request_id: 'r', success: true })
    await app.next(of('terminate_cocoon_result'))
    assert.deepEqual([bystander.received, other.count(of('terminate_cocoon'))], [[], 0])
    app.send({ ...spawn, request_id: 'r2', kind: 'none' })
    const none = await app.next(({ request_id }) => request_id === 'r2')
    assert.deepEqual([none['success'], none['error']], [false, 'no hive supports the cocoon kind: none'])
  })

  test('4.2: a second registration replaces the first, whose late close leaves it alone', async (t) => {
    const server = await openServer(t, { generation: 1 })
    const [first, second] = [await openApp(t, server.url), await openApp(t, server.url)]
    for (const hive of [first, second]) {
      hive.send({ ...REGISTER, type: 'register_hive' })
      await hive.next(of('hive_registered'))
    }
    await first.close()
    await until(() => server.lines.some((line) => /had this id before/.test(line)), 5_000, 'the line')
    const app = await openApp(t, server.url)
    app.send({ type: 'spawn_cocoon', request_id: 'r', kind: 'k', setup_token: 't' })
    await second.next(of('spawn_cocoon'))
    assert.deepEqual(
      server.lines.filter((line) => line.endsWith('is gone')),
      [],
    )
  })

  test('1.3: gives setup tokens and knows the last greeting', async (t) => {
    const server = await openServer(t, { generation: 1, greets: true })
    const app = await openApp(t, server.url)
    assert.equal((await app.next(of('hello')))['auth_requirement'], 'optional')
    app.send({ type: 'authenticate', access_token: 'x' })
    assert.equal((await app.next(of('hello_authed')))['user_id'], 'local')
    app.send({ type: 'request_setup_token' })
    assert.match((await app.next(of('setup_token')))['token'], /^[\w-]{32}$/)
    app.send({ type: 'nonsense' })
    app.send('{')
    await until(() => app.count(of('error')) === 2, 5_000, 'two complaints')
  })

  test('1.8: the same cocoon secret gives the same device id, and a claimed other one is refused', async (t) => {
    const server = await openServer(t, { generation: 1 })
    const register = { type: 'register', secret: COCOON_SECRET, version: '1' }
    const { device_id } = await asks(t, server.url, register, 'registered')
    assert.match(device_id, /^[0-9a-f]{64}$/)
    const withToken = {
      ...register,
      type: 'register_with_setup_token',
      setup_token: 'a.eyJzdWIiOiJ1c2VyLTcifQ.c',
      name: 'n',
    }
    const owned = { type: 'registered_with_owner', device_id, owner_id: 'user-7', name: 'n' }
    assert.deepEqual(await asks(t, server.url, withToken, 'registered_with_owner'), owned)
    const refused = await asks(t, server.url, { ...register, device_id: 'f'.repeat(64) }, 'error')
    assert.equal(refused['message'], 'device_id does not match the secret')
    for (const secret of [
      'short',
      '1'.repeat(40),
      'abcdefghijklmnopqrstuvwxyzabcdefgh',
      'aB1'.repeat(20),
      `${COCOON_SECRET}Admin`,
    ])
      assert.match((await asks(t, server.url, { ...register, secret }, 'error'))['message'], /^the secret /)
  })
})

describe('the dev server, generation 2', () => {
  test('1.6: the URL gives the role: apps are greeted, others are not, and each may send only its own', async (t) => {
    const server = await openServer(t, { generation: 2 })
    const app = await openApp(t, server.url)
    await app.next(of('auth_hello'))
    for (const [role, type] of [
      ['app', 'hive_register'],
      ['hive', 'hive_spawn_cocoon'],
      ['cocoon', 'hive_spawn_cocoon'],
    ]) {
      const refused = await asks(t, `${server.url}?kind=${role}`, { ...REGISTER, type: type ?? '' }, 'system_error')
      assert.equal(refused['message'], 'Unsupported message type for this client kind')
    }
    await assert.rejects(openApp(t, `${server.url}?kind=nobody`))
    await assert.rejects(openApp(t, `${server.url}?kind=hive&kind=cocoon`), 'two roles are refused')
  })

  test('1.5: a kind that lacks one of its four fields refuses the whole registration', async (t) => {
    const server = await openServer(t, { generation: 2 })
    for (const field of Object.keys(KIND)) {
      const { [field as keyof typeof KIND]: _left, ...kind } = KIND
      const register = { ...REGISTER, type: 'hive_register', cocoon_kinds: [kind] }
      const refused = await asks(t, `${server.url}?kind=hive`, register, 'system_error')
      assert.match(refused['message'], new RegExp(`missing field \`${field}\``))
    }
    assert.deepEqual(server.hives, [])
  })

  test('1.5: cocoons register devices; the setup token is no tag any more', async (t) => {
    const server = await openServer(t, { generation: 2 })
    const cocoon = await openApp(t, `${server.url}?kind=cocoon`)
    const tags = { setup_token: 'tok', name: 'n' }
    cocoon.send({ type: 'device_register', secret: COCOON_SECRET, version: '1', tags, device_type: 'cocoon' })
    const { device_id, ...answer } = await cocoon.next(of('device_register_response'))
    assert.deepEqual(answer, { type: 'device_register_response', tags: { name: 'n' } })
    const app = await openApp(t, server.url)
    app.send({ type: 'auth_authenticate', access_token: 'x' })
    const { devices } = await app.next(of('auth_hello_authed'))
    assert.deepEqual(devices, [{ device_id, tags: { name: 'n' }, online: true }])
    cocoon.send({ type: 'device_deregister', device_id, reason: 'shutdown' })
    await cocoon.next(of('device_deregister_response'))
    assert.equal(server.lines.at(-1), 'cocoon n has deregistered')
  })

  test('1.6.6: without any hive a spawn and a terminate fail at once', async (t) => {
    const server = await openServer(t, { generation: 2 })
    const spawn = { type: 'hive_spawn_cocoon', request_id: 's', kind: 'k', setup_token: 't' }
    assert.equal((await asks(t, server.url, spawn, 'hive_spawn_cocoon_result'))['success'], false)
    const terminate = { type: 'hive_terminate_cocoon', request_id: 't', container_id: 'c' }
    const refused = await asks(t, server.url, terminate, 'hive_terminate_cocoon_result')
    assert.equal(refused['error'], 'No hive registered')
  })
})
