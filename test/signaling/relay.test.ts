import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES } from '../support/engines.ts'
import { openApp, openServer, openSignalingHive, registered, resultOf } from '../support/signaling.ts'

/** What a cocoon does, for an image whose Node has no WebSocket: registers with its setup token and stays. */
const COCOON = `
  const { SIGNALING_SERVER_URL: url, COCOON_SETUP_TOKEN: setup_token, COCOON_SECRET: secret, COCOON_NAME: name } = process.env
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': 13, 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
  const request = require('node:http').get(url.replace('ws:', 'http:'), { headers })
  request.on('error', () => process.exit(1))
  request.on('upgrade', (_answer, socket) => {
    const text = Buffer.from(JSON.stringify({ type: 'register_with_setup_token', secret, setup_token, name, version: '1' }))
    const head = Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255, 0, 0, 0, 0]) // RFC 6455 §5.2, a mask of zeros
    socket.write(Buffer.concat([head, text]))
    socket.on('data', () => {})
    socket.on('error', () => {})
    socket.on('close', () => process.exit(0))
  })
`

for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
  const engine = engineOrSkip(name)
  describe(`a signaling server on loopback, ${name}`, { skip: engine.skip }, () => {
    test('issue 5.4: a container registers with it through the relay, again after Hive came back, and nobody else gets in', async (t) => {
      const server = await openServer(t)
      const kinds = [
        {
          id: 'box',
          runner_type: engine.type,
          runner_config: { image: TEST_IMAGES.echo, command: ['node', '-e', COCOON] },
        },
      ]
      const env = { [engine.type === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST']: engine.host }
      const hive = await openSignalingHive(t, `${server.url}?kind=hive`, { kinds, env })
      await registered(hive)
      const app = await openApp(t, server.url)
      app.send({ type: 'spawn_cocoon', request_id: 'r', kind: 'box', setup_token: 'tok', name: 'box-1' })
      const { container_id: id, ...spawned } = await app.next(resultOf('spawn_cocoon', 'r'), 60_000)
      assert.equal(spawned['success'], true, JSON.stringify(spawned))
      assert.match(id, /^[0-9a-f]{64}$/)
      const cocoons = () => server.lines.filter((line) => line === 'cocoon box-1 registered (owner local)').length
      await until(() => cocoons() === 1, 20_000, 'the cocoon')
      const { port } = await relayOf(hive)
      // The relay is not for loopback, nor for others at an address of this machine.
      await assert.rejects(talk('127.0.0.1', port))
      if (name !== 'podman-rootless') await assert.rejects(talk(ownAddress(), port))
      const directory = hive.directory
      await hive.close()
      const again = await openSignalingHive(t, `${server.url}?kind=hive`, { kinds, env, directory })
      await registered(again)
      assert.equal((await relayOf(again)).port, port, 'the port stands in the environment of the container')
      await again.call('POST', '/services/box-1/restart?wait=ready')
      await until(() => cocoons() === 2, 20_000, 'the cocoon again')
      app.send({ type: 'terminate_cocoon', request_id: 't', container_id: id.slice(0, 12) })
      assert.equal((await app.next(resultOf('terminate_cocoon', 't'), 30_000))['success'], true)
    })
  })
}

async function relayOf(hive: {
  readonly app: { readonly serviceTable: { documents(name: string): Promise<ReadonlyMap<string, unknown>> } }
}) {
  const [relay, ...more] = (await hive.app.serviceTable.documents('relays')).values()
  assert.deepEqual(more, [])
  return relay as { readonly port: number }
}

/** Resolves with what the other side says first. */
async function talk(host: string, port: number): Promise<string> {
  const socket = connect({ host, port })
  socket.write('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const answer = Promise.withResolvers<string>()
  socket.on('data', (chunk) => answer.resolve(String(chunk)))
  socket.on('error', answer.reject)
  socket.on('close', () => answer.reject(new Error('closed without an answer')))
  return answer.promise.finally(() => socket.destroy())
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? assert.fail('no address')
}
