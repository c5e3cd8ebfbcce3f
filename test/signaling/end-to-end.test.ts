import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { openApp, openServer, openSignalingHive, registered, resultOf, WORDS } from '../support/signaling.ts'

const WORKER = join(import.meta.dirname, '..', '..', 'examples', 'worker', 'worker.mjs')
const KINDS = [
  {
    id: 'native',
    runner_type: 'script',
    runner_config: { command: process.execPath, args: [WORKER], port: 8080, environment: { PLANTED: 'planted-value' } },
  },
]

for (const generation of [1, 2] as const) {
  describe(`generation ${generation}`, () => {
    const words = WORDS[generation]

    test('issue 5.1-5.3: a hive registers, spawns and terminates a real script cocoon that registers itself', async (t) => {
      const server = await openServer(t, { generation })
      const hive = await openSignalingHive(t, server.url, { kinds: KINDS })
      await registered(hive)
      const [known] = server.hives
      assert.equal(known?.hiveId, 'hive-1')
      assert.deepEqual(known?.kinds, [
        {
          id: 'native',
          runner_type: 'script',
          runner_config: { ...KINDS[0]?.runner_config, environment: { PLANTED: '[redacted]' } },
          image: '',
        },
      ])
      const app = await openApp(t, server.url)
      app.send({ type: words.spawn, request_id: 'req-123', kind: 'native', setup_token: 'token-abc', name: 'worker-1' })
      const spawned = await app.next(resultOf(words.spawn, 'req-123'))
      assert.deepEqual(spawned, {
        type: `${words.spawn}_result`,
        request_id: 'req-123',
        success: true,
        container_id: 'worker-1',
      })
      assert.equal((await hive.call('GET', '/services/worker-1')).body.state, 'running')
      await until(() => server.lines.includes('cocoon worker-1 registered (owner local)'), 10_000, 'the cocoon')
      app.send({ type: words.terminate, request_id: 'req-124', container_id: 'cocoons:worker-1' })
      const ended = await app.next(resultOf(words.terminate, 'req-124'))
      assert.deepEqual(ended, { type: `${words.terminate}_result`, request_id: 'req-124', success: true })
      assert.equal((await hive.call('GET', '/services/worker-1')).status, 410)
      await until(() => server.lines.includes('cocoon worker-1 has deregistered'), 10_000, 'the goodbye')
      await until(() => hive.app.signaling?.status().unsent === 0, 10_000, 'the receipts')
      assert.doesNotMatch(hive.log(), /token-abc|planted-value/)
    })
  })
}

test('issue 5.4: a cocoon that loses the server ends with 0: always brings it back, on-failure does not', async (t) => {
  const server = await openServer(t)
  const kind = (id: string, restart: object) => ({
    ...KINDS[0],
    id,
    runner_config: { ...KINDS[0]?.runner_config, ...restart },
  })
  const kinds = [kind('always', { restart: { policy: 'always', backoff_min: '1s' } }), kind('default', {})]
  const hive = await openSignalingHive(t, server.url, { kinds })
  await registered(hive)
  const app = await openApp(t, server.url)
  for (const name of ['always', 'default'])
    app.send({ type: 'spawn_cocoon', request_id: name, kind: name, setup_token: 'x', name })
  for (const name of ['always', 'default'])
    await until(() => server.lines.includes(`cocoon ${name} registered (owner local)`), 20_000, name)
  await server.close()
  const again = await openServer(t, { port: server.port })
  await until(() => again.lines.includes('cocoon always registered (owner local)'), 30_000, 'the cocoon again')
  const { body } = await hive.call('GET', '/services/default')
  assert.deepEqual([body.state, body.exit.code, body.next_attempt_at], ['stopped', 0, null])
})
