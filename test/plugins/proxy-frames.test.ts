import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { until } from '../support/deadline.ts'
import { startProxyApp } from '../support/proxy-app.ts'
import { rawBackend, rawConnect, readUntil } from '../support/raw-http.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE = [
  'GET /cocoons/demo/ HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${KEY}`,
  '\r\n',
].join('\r\n')
const SWITCH = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  '\r\n',
].join('\r\n')

const fragments = (count: number) => Buffer.alloc(count * 3, Buffer.from([0x00, 0x01, 0x61]))
const bomb = deflateRawSync(Buffer.alloc(4_000_000))
const close = (code: number, reason: Buffer) =>
  Buffer.concat([Buffer.from([0x88, 2 + reason.length, code >> 8, code & 255]), reason])

/** What no peer may send, or no peer would: RFC 6455 §5.2, §5.4, §5.5, §7.4. */
const HOSTILE: Readonly<Record<string, Buffer>> = {
  '131,000 fragments of one byte that never end': Buffer.concat([Buffer.from([0x01, 0x01, 0x61]), fragments(131_000)]),
  'a length of 2^63': Buffer.concat([Buffer.from([0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0]), randomBytes(5_000)]),
  'a length of 2^64 - 1': Buffer.concat([Buffer.from([0x82, 0xff]), Buffer.alloc(8, 0xff), randomBytes(5_000)]),
  'a length of 1 in eight bytes': Buffer.from([0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 0x61]),
  'a deflate bomb nobody agreed on': Buffer.concat([
    Buffer.from([0xc2, 0x7e, bomb.length >> 8, bomb.length & 255]),
    bomb,
  ]),
  'reserved bits': Buffer.from([0xf1, 0x01, 0x61]),
  'reserved opcodes': Buffer.from([0x83, 0x01, 0x61, 0x8b, 0x01, 0x61]),
  'a mask, and none': Buffer.from([0x81, 0x81, 1, 2, 3, 4, 0x60, 0x81, 0x01, 0x61]),
  'a fragmented ping of 200 bytes': Buffer.concat([Buffer.from([0x09, 0x7e, 0, 200]), Buffer.alloc(200)]),
  'a continuation of nothing': Buffer.from([0x80, 0x00]),
  'half a header': Buffer.from([0x82, 0x7f, 0]),
  'text that is no UTF-8': Buffer.from([0x81, 0x02, 0xc3, 0x28]),
  'W11 closes with codes that may not be sent, and a reason of 124 bytes': Buffer.concat([
    ...[1005, 1006, 2999, 4999, 0].map((code) => close(code, Buffer.alloc(0))),
    close(1000, Buffer.alloc(124, 'x')),
    Buffer.from([0x81, 0x01, 0x61]),
  ]),
}

async function openTunnel(t: TestContext): Promise<{ client: Socket; cocoon: Socket }> {
  const { routes, port } = await startProxyApp(t)
  const backend = await rawBackend(t, (socket) => socket.once('data', () => socket.write(SWITCH)))
  // Somebody asks for activity, so that the frames are looked at.
  const activity = { note: () => undefined, begin: () => undefined, end: () => undefined }
  routes.open('demo', backend.port, { activity })
  const client = await rawConnect(t, port)
  client.write(HANDSHAKE)
  await readUntil(client, (text) => text.endsWith('\r\n\r\n'))
  return { client, cocoon: backend.sockets[0] as Socket }
}

/** Collects so many bytes in all. */
async function take(socket: Socket, size: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
  }
  socket.on('data', onData)
  await until(() => length >= size, 20_000, `${size} bytes`)
  socket.off('data', onData)
  return Buffer.concat(chunks)
}

suite('frames in a tunnel', () => {
  test('W10: hostile ones pass both ways byte for byte, and the tunnel stays open', async (t) => {
    const { client, cocoon } = await openTunnel(t)
    for (const [title, bytes] of Object.entries(HOSTILE))
      for (const [from, to] of [
        [client, cocoon],
        [cocoon, client],
      ] as const) {
        const taken = take(to, bytes.length)
        from.write(bytes)
        assert.ok((await taken).equals(bytes), title)
      }
    assert.ok(!client.destroyed && !cocoon.destroyed)
  })

  test('W10: 16 MB of fragments of one byte each pass while next to nothing of them is held', async (t) => {
    const { client, cocoon } = await openTunnel(t)
    const piece = fragments(87_381)
    const [sent, seen] = [createHash('sha256'), createHash('sha256')]
    let taken = 0
    let most = 0
    const start = process.memoryUsage().arrayBuffers
    cocoon.on('data', (chunk: Buffer) => {
      taken += chunk.length
      seen.update(chunk)
      most = Math.max(most, process.memoryUsage().arrayBuffers - start)
    })
    for (let n = 0; n < 64; n += 1) {
      sent.update(piece)
      if (!client.write(piece)) await new Promise((resolve) => client.once('drain', resolve))
    }
    await until(() => taken === 64 * piece.length, 30_000, 'all of it')
    assert.equal(seen.digest('hex'), sent.digest('hex'))
    assert.ok(most < 12 * 1_048_576, `${most} bytes`)
  })
})
