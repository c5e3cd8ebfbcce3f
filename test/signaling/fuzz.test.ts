import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import { DIALECTS } from '../../src/signaling/dialect.ts'
import { readFrame } from '../../src/signaling/frame.ts'
import { readRequest } from '../../src/signaling/request.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import {
  confirm,
  openRawServer,
  openServer,
  openSignalingHive,
  registered,
  resultOf,
  tell,
} from '../support/signaling.ts'

const KINDS = [{ id: 'fake', runner_type: 'script', runner_config: { command: 'true' } }]
const TYPES = [
  ...Object.values(DIALECTS).flatMap((dialect) => Object.values(dialect).flat()),
  'hello',
  'auth_hello',
  '',
]

const odd = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom('fake', 'one', 'cocoons:one', '__proto__', 'constructor', '\u0000', '\ud800', 'x'.repeat(10_000)),
  fc.jsonValue(),
)
const message = fc.record(
  {
    type: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...TYPES) }, { weight: 1, arbitrary: odd }),
    request_id: fc.oneof(fc.string({ minLength: 1 }), odd),
    kind: odd,
    name: odd,
    setup_token: odd,
    container_id: odd,
    hive_id: odd,
    message: odd,
    reason: odd,
  },
  { requiredKeys: [] },
)
const frame = fc.oneof(
  { weight: 4, arbitrary: message.map((body) => ({ data: JSON.stringify(body), binary: false })) },
  { weight: 1, arbitrary: fc.json().map((data) => ({ data, binary: false })) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }).map((data) => ({ data, binary: false })) },
  { weight: 1, arbitrary: fc.uint8Array().map((bytes) => ({ data: Buffer.from(bytes), binary: true })) },
)

test('issue 5.6: no frame makes the reader throw, and what it lets through is well-formed', () => {
  fc.assert(
    fc.property(frame, fc.constantFrom(1, 2), ({ data, binary }, generation) => {
      const read = readFrame(Buffer.from(data as string), binary)
      if ('fault' in read) return
      const request = readRequest(DIALECTS[generation], read.message)
      if (request === null || !('asked' in request)) return
      const texts = Object.values(request.asked).filter((value) => typeof value === 'string')
      assert.ok(texts.every((text) => text !== '' && text.isWellFormed() && text.length <= 8192))
    }),
    { numRuns: 3_000 },
  )
})

test('issue 5.6: no series of frames crashes Hive or keeps it from its work', { timeout: 120_000 }, async (t) => {
  const server = await openRawServer(t, confirm)
  const runner = new FakeRunner()
  const hive = await openSignalingHive(t, server.url, { kinds: KINDS, drivers: [runner.driver()] })
  await registered(hive)
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 40 }), async (frames) => {
      const client = await until(() => [...server.clients].find(isOpen), 15_000, 'a connection')
      for (const { data, binary } of frames) client.send(data, { binary })
      const id = `probe-${round++}`
      tell(client, { type: 'terminate_cocoon', request_id: id, container_id: 'nobody here' })
      const answer = await until(
        () => server.received.find(resultOf('terminate_cocoon', id)),
        15_000,
        'an answer after all that',
      )
      assert.equal(answer['error'], 'container not found: nobody here')
    }),
    { numRuns: 60 },
  )
  assert.equal((await hive.call('GET', '/livez')).status, 200)
  const results = server.received.filter(({ type }) => String(type).endsWith('_result'))
  assert.ok(results.length >= 60)
  assert.doesNotMatch(hive.log(), /"level":(50|60)/)
})

test('issue 5.6: broken WebSocket framing ends the connection only, and Hive comes back', async (t) => {
  const wrong: readonly (readonly number[])[] = [
    [0xff, 0xff, 0xff, 0xff], // reserved bits and opcode
    [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a frame of 2^63 bytes
    [0x80, 0x00], // a continuation of nothing
    [0x81, 0x02, 0xc3, 0x28], // not UTF-8
    [0x88, 0x01, 0x00], // a close frame with half a code
    [0x89, 0x7e, 0x01, 0x00], // a ping that is too long
    [0x81, 0x81, 0, 0, 0, 0, 0x61], // a masked frame from a server
  ]
  let next = 0
  const server = await openRawServer(t, (received, client) => {
    confirm(received, client)
    const bytes = wrong[next++]
    const { _socket: socket } = client as unknown as { readonly _socket: { write(bytes: Buffer): void } }
    if (bytes) socket.write(Buffer.from(bytes))
  })
  const hive = await openSignalingHive(t, server.url)
  await until(() => next > wrong.length, 30_000, 'a connection after the last of them')
  await registered(hive)
  assert.equal((await hive.call('GET', '/livez')).status, 200)
})

test('issue 5.6: the dev server survives the same', { timeout: 120_000 }, async (t) => {
  const server = await openServer(t)
  const urls = ['', '?kind=app', '?kind=hive', '?kind=cocoon'].map((query) => server.url + query)
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...urls), fc.array(frame, { maxLength: 20 }), async (url, frames) => {
      const client = new WebSocket(url)
      client.on('error', () => undefined)
      await once(client, 'open')
      for (const { data, binary } of frames) client.send(data, { binary })
      client.ping()
      await Promise.race([once(client, 'pong'), once(client, 'close')])
      client.terminate()
    }),
    { numRuns: 60 },
  )
  for (const path of ['//', '/ws?kind=hive&kind=hive', '/ws?kind=nobody', '/%00', '*']) {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    socket.write(`${head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    assert.match(chunk.toString(), /^HTTP\/1.1 400/, path)
    socket.destroy()
  }
  const health = await fetch(`http://127.0.0.1:${server.port}/health`)
  assert.deepEqual([health.status, await health.text()], [200, ''])
})

function isOpen(client: WebSocket): boolean {
  return client.readyState === WebSocket.OPEN
}
