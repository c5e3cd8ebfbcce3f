import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Secret } from '../../src/secret.ts'
import { signHiveId } from '../../src/signaling/signature.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import {
  confirm,
  openApp,
  openRawServer,
  openServer,
  openSignalingHive,
  registered,
  resultOf,
  SECRET,
  tell,
  WORDS,
} from '../support/signaling.ts'

const KINDS = [{ id: 'fake', runner_type: 'script', runner_config: { command: 'true' } }]

describe('the generation', () => {
  const cases = [
    // the server's, HIVE_SIGNALING_PROTOCOL, the URL's query, the generation that is found
    [1, 'auto', '', 1],
    [2, 'auto', '?kind=hive', 2],
    [2, 'auto', '', 2],
    [1, 'auto', '?kind=hive', 1],
    [2, '2', '', 2],
    [1, '1', '?kind=hive', 1],
    [null, 'auto', '', 1],
    [null, '2', '', 2],
  ] as const
  for (const [generation, setting, query, found] of cases)
    test(`issue 5.1: ${setting} at a server of ${generation ?? 'both'} with "${query}" finds ${found}`, async (t) => {
      const server = await openServer(t, { generation, greets: true })
      const env = { HIVE_SIGNALING_PROTOCOL: setting }
      const hive = await openSignalingHive(t, server.url + query, { kinds: KINDS, env })
      await registered(hive)
      const metrics = (await hive.call('GET', '/metrics')).text
      assert.match(metrics, /^hive_signaling_state\{state="registered"\} 1$/m)
      assert.match(metrics, /^hive_signaling_state\{state="waiting"\} 0$/m)
      const lastTold = async () =>
        (await hive.app.events.after(0)).events.findLast(({ type }) => type === 'signaling')?.data['state']
      await until(async () => (await lastTold()) === 'registered', 10_000, 'the event of it')
      const { signaling } = (await hive.call('GET', '/readyz')).body
      assert.deepEqual([signaling.state, signaling.generation], ['registered', found])
      const app = await openApp(t, `${server.url}${found === 2 ? '?kind=app' : ''}`)
      const words = WORDS[found]
      app.send({ type: words.terminate, request_id: 'r', container_id: 'nobody' })
      const result = await app.next(resultOf(words.terminate, 'r'))
      assert.equal(result['error'], 'container not found: nobody')
    })

  test('issue 5.1: a fixed generation is kept at a server of the other one, and said', async (t) => {
    const server = await openServer(t, { generation: 2 })
    const env = { HIVE_SIGNALING_PROTOCOL: '1' }
    const hive = await openSignalingHive(t, server.url, { env, signalingTimings: { confirmMs: 100, retryFirstMs: 1 } })
    const tried = () => hive.log().match(/"signaling: not connected"/g)?.length ?? 0
    await until(() => tried() >= 3, 15_000, 'some tries')
    assert.match(hive.log(), /it refuses the registration: Unsupported message|does not|system_error|not confirmed/)
    assert.equal(server.hives.length, 0)
    assert.equal(hive.app.signaling?.status().generation, 1)
  })
})

describe('the registration', () => {
  for (const generation of [1, 2] as const)
    test(`issue 5.6: a wrong secret is refused (generation ${generation}), said without the secret, and mended by the server`, async (t) => {
      const wrong = await openServer(t, { generation, secret: new Secret('another key altogether') })
      const hive = await openSignalingHive(t, wrong.url)
      await until(() => /refuses the registration: invalid hive signature/.test(hive.log()), 15_000, 'the refusal')
      const { status, body } = await hive.call('GET', '/readyz')
      assert.equal(status, 200, 'Hive itself is ready')
      assert.notEqual(body.signaling.state, 'registered')
      assert.equal(wrong.hives.length, 0)
      assert.ok(!hive.log().includes(SECRET) && !hive.log().includes(signHiveId(new Secret(SECRET), 'hive-1')))
      await wrong.close()
      await openServer(t, { generation, port: wrong.port })
      await registered(hive)
    })

  test('1.1: says id, version, kinds with all four fields and the signature', async (t) => {
    const server = await openRawServer(t, confirm)
    const runner = new FakeRunner()
    const hive = await openSignalingHive(t, server.url, { kinds: KINDS, drivers: [runner.driver()] })
    await registered(hive)
    assert.deepEqual(server.received[0], {
      type: 'register_hive',
      hive_id: 'hive-1',
      version: 'test',
      cocoon_kinds: [{ id: 'fake', runner_type: 'script', runner_config: { command: 'true' }, image: '' }],
      hive_id_signature: signHiveId(new Secret(SECRET), 'hive-1'),
    })
  })

  test('issue 5.3: is renewed on the same connection when what can be spawned changes', async (t) => {
    const server = await openServer(t)
    const runner = new FakeRunner()
    const hive = await openSignalingHive(t, server.url, { kinds: KINDS, drivers: [runner.driver()] })
    await registered(hive)
    const kinds = () => server.hives[0]?.kinds.length
    assert.equal(kinds(), 1)
    runner.unreachable = true
    await hive.app.runners.refresh()
    await until(() => kinds() === 0, 10_000, 'the renewal')
    runner.unreachable = false
    await hive.app.runners.refresh()
    await until(() => kinds() === 1, 10_000, 'the renewal back')
    assert.equal(server.lines.filter((line) => /is gone|closed/.test(line)).length, 0)
  })

  test('1.3: hello, unknown messages, nonsense and requests before the confirmation do no harm', async (t) => {
    const server = await openRawServer(
      t,
      (message, client) => {
        if (message['type'] !== 'register_hive') return
        for (const text of ['{', '[]', '{"type":5}', '{"type":"web_rtc_start_session"}']) client.send(text)
        client.send(Buffer.from('{"type":"hive_registered"}'), { binary: true })
        client.send(JSON.stringify({ type: 'sync_data', payload: 'x'.repeat(10 * 1024 * 1024) }))
        tell(client, { type: 'terminate_cocoon', request_id: 'early', container_id: 'nobody' })
        confirm(message, client)
      },
      (client) => {
        tell(client, { type: 'hello', auth_kind: 'adi.auth', auth_domain: 'x', auth_requirement: 'required' })
      },
    )
    const hive = await openSignalingHive(t, server.url)
    await registered(hive)
    const early = await until(
      () => server.received.find((each) => each['request_id'] === 'early'),
      10_000,
      'the answer',
    )
    assert.equal(early['error'], 'container not found: nobody')
    for (const said of [/binary frame/, /not JSON/, /no object/, /without a type/, /unknown type/, /more than 1048576/])
      assert.match(hive.log(), said)
    assert.equal(server.connections, 1)
  })

  test('issue 5.1: without a confirmation in time it is tried again', async (t) => {
    const server = await openRawServer(t, () => undefined)
    const hive = await openSignalingHive(t, server.url, { signalingTimings: { confirmMs: 50, retryFirstMs: 1 } })
    await until(() => server.connections >= 3, 10_000, 'more connections')
    assert.match(hive.log(), /the registration was not confirmed in time/)
    const types = new Set(server.received.map(({ type }) => type as string))
    assert.ok(types.has('register_hive') && types.has('hive_register'), 'silence makes it try both generations')
  })

  test('1.6.1: a server without such a door is dialled again and again, Hive works on', async (t) => {
    const server = await openRawServer(t, confirm)
    const hive = await openSignalingHive(t, server.url.replace('/ws', '/no'), { kinds: KINDS })
    await until(() => /Unexpected server response: 400/.test(hive.log()), 10_000, 'the refusal')
    assert.equal((await hive.call('GET', '/kinds')).status, 200)
  })

  test('issue 5.6: two Hives with one id replace each other, and both say so', async (t) => {
    const server = await openServer(t)
    const first = await openSignalingHive(t, server.url, { signalingTimings: { retryFirstMs: 5, retryMostMs: 20 } })
    await registered(first)
    const second = await openSignalingHive(t, server.url, { signalingTimings: { retryFirstMs: 5, retryMostMs: 20 } })
    for (const hive of [first, second])
      await until(() => /another hive has registered with this hive_id/.test(hive.log()), 15_000, 'being replaced')
    await until(() => /does another Hive use this HIVE_ID/.test(first.log() + second.log()), 15_000, 'the hint')
    await second.close()
    await registered(first)
    assert.equal(server.hives.length, 1)
  })

  test('issue 5.1: only SIGNALING_SERVER_URL and HIVE_SECRET together turn it on', async (t) => {
    const server = await openRawServer(t, confirm)
    const hive = await openSignalingHive(t, server.url, { env: { HIVE_SECRET: '' } })
    assert.equal(hive.app.signaling, null)
    assert.deepEqual((await hive.call('GET', '/readyz')).body.signaling.state, 'off')
    assert.equal(server.connections, 0)
  })

  test('issue 5.3: shutting down closes with 1001 and without delay, also while waiting or dialling', async (t) => {
    const codes: number[] = []
    const server = await openRawServer(t, confirm, (client) => client.on('close', (code) => codes.push(code)))
    const hive = await openSignalingHive(t, server.url)
    await registered(hive)
    await hive.close()
    await until(() => codes.length === 1, 5_000, 'the close frame')
    assert.deepEqual(codes, [1001])
    assert.equal(hive.app.signaling?.status().state, 'closed')
    const nowhere = await openSignalingHive(t, 'ws://127.0.0.1:1/ws', {
      signalingTimings: { retryFirstMs: 1e6, retryMostMs: 1e6 },
    })
    await until(() => nowhere.app.signaling?.status().state === 'waiting', 5_000, 'waiting')
    await nowhere.close()
  })
})
