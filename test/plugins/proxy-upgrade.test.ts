import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { until, within } from '../support/deadline.ts'
import { startWsBackend } from '../support/fixtures/proxy-ws.ts'
import { HIVE_TOKEN, startProxyApp } from '../support/proxy-app.ts'
import {
  cannedBackend,
  exchangeRaw,
  parseAnswer,
  rawBackend,
  rawConnect,
  readAll,
  readUntil,
} from '../support/raw-http.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`

/** The bytes of an upgrade request; `fields` replace those of the same name. */
function handshake(target = '/cocoons/demo/', ...fields: readonly string[]): string {
  const defaults = ['Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${KEY}`]
  const names = fields.map((field) => field.split(':', 1)[0])
  const kept = [...defaults, 'Sec-WebSocket-Version: 13'].filter((field) => !names.includes(field.split(':', 1)[0]))
  return [`GET ${target} HTTP/1.1`, ...kept, ...fields, '', ''].join('\r\n')
}

async function openWs(t: TestContext, url: string, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols, { perMessageDeflate: false })
  socket.on('error', () => undefined)
  t.after(() => socket.terminate())
  await within(once(socket, 'open'), 5_000, 'the WebSocket to open')
  return socket
}

test('messages pass both ways, by path and by host, with the raw path of the cocoon', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await startWsBackend(t)
  routes.open('demo', backend.port)
  for (const [url, host] of [
    [`ws://127.0.0.1:${port}/cocoons/demo/a%20b?c=%2f`, null],
    [`ws://127.0.0.1:${port}/a%20b?c=%2f`, 'demo.localhost'],
  ] as const) {
    const socket = new WebSocket(url, host === null ? {} : { headers: { Host: host } })
    t.after(() => socket.terminate())
    await within(once(socket, 'open'), 5_000, 'open')
    const large = Buffer.alloc(3_000_000, 'y')
    socket.send('hello')
    socket.send(large)
    const [text] = await once(socket, 'message')
    const [binary] = await once(socket, 'message')
    assert.equal(String(text), 'hello')
    assert.ok(large.equals(binary as Buffer))
  }
  assert.deepEqual(backend.urls, ['/a%20b?c=%2f', '/a%20b?c=%2f'])
})

test('W7 the subprotocol is the one the cocoon picks', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await startWsBackend(t)
  routes.open('demo', backend.port)
  const url = `ws://127.0.0.1:${port}/cocoons/demo/`
  assert.equal((await openWs(t, url, ['a', 'b'])).protocol, 'b')
  assert.equal((await openWs(t, url)).protocol, '')
})

for (const moment of ['while dialling', 'after 101', 'in the middle of a frame'] as const) {
  test(`W1 a reset of the client ${moment} ends the tunnel and nothing else`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await rawBackend(t, (socket) => {
      socket.once('data', () => {
        if (moment !== 'while dialling') socket.write(`${SWITCH}\r\n`)
      })
    })
    routes.open('demo', backend.port)
    for (let i = 0; i < 20; i += 1) {
      const socket = await rawConnect(t, port)
      socket.write(handshake())
      if (moment === 'while dialling') await until(() => (backend.sockets[i]?.bytesRead ?? 0) > 0, 5_000, 'the dial')
      else await readUntil(socket, (text) => text.endsWith('\r\n\r\n'))
      if (moment === 'in the middle of a frame') socket.write(Buffer.from([0x82, 0xff, 0, 0]))
      socket.resetAndDestroy()
    }
    await until(() => backend.sockets.every((s) => s.destroyed || s.readableEnded), 5_000, 'the teardown')
    assert.equal(parseAnswer(await exchangeRaw(t, port, handshake('/control'))).status, 404)
  })
}

for (const moment of ['at the dial', 'after 101', 'with bytes on their way'] as const) {
  test(`W1 F50 a reset of the cocoon ${moment} ends the tunnel and nothing else`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await rawBackend(t, (socket) => {
      if (moment === 'at the dial') socket.resetAndDestroy()
      socket.once('data', () => socket.write(`${SWITCH}\r\n`))
    })
    routes.open('demo', backend.port)
    for (let i = 0; i < 20; i += 1) {
      const socket = await rawConnect(t, port)
      const all = readAll(socket)
      socket.write(handshake())
      if (moment === 'at the dial') {
        assert.equal(parseAnswer(await all).status, 502)
        continue
      }
      await once(socket, 'data')
      if (moment === 'with bytes on their way') socket.write(Buffer.alloc(1_000_000))
      backend.sockets[i]?.resetAndDestroy()
      await within(all, 5_000, 'the teardown')
    }
    assert.equal(parseAnswer(await exchangeRaw(t, port, handshake('/control'))).status, 404)
  })
}

const REFUSED: readonly (readonly [title: string, bytes: string, status: number])[] = [
  ['W2 no key', handshake().replace(/Sec-WebSocket-Key.*\r\n/, ''), 400],
  ['W2 a short key', handshake(undefined, 'Sec-WebSocket-Key: abc='), 400],
  ['W2 version 8', handshake(undefined, 'Sec-WebSocket-Version: 8'), 400],
  ['W2 POST', handshake().replace('GET', 'POST'), 400],
  ['W2 HTTP/1.0', handshake().replace('1.1', '1.0'), 400],
  ['W2 two protocols', handshake(undefined, 'Upgrade: websocket, h2c'), 400],
  ['W3 another site', handshake(undefined, 'Origin: http://evil'), 403],
  ['W3 Origin null', handshake(undefined, 'Origin: null'), 403],
  ['W3 a sibling', handshake(undefined, 'Origin: http://demo.localhost'), 403],
  ['W5 an encoded name', handshake('/cocoons/%64emo/'), 400],
  ['W5 dot segments', handshake('/cocoons/demo/%2e%2e/x'), 400],
  ['W5 a fragment', handshake('/cocoons/demo/#x'), 400],
  ['W5 the bare name', handshake('/cocoons/demo'), 308],
  ['W5 a foreign absolute form', handshake('http://evil/cocoons/demo/'), 421],
  ['W5 an absolute form that is no URL', handshake('http://[/cocoons/demo/'), 400],
  ['W5 only slashes', handshake('///'), 404],
  ['W5 a control path', handshake('/control'), 404],
  ['W5 an unknown cocoon', handshake('/cocoons/nope/'), 404],
  ['P11 two Hosts', handshake().replace('\r\n', '\r\nHost: localhost\r\n'), 400],
  ['A30 a foreign Host', handshake(undefined, 'Host: evil'), 421],
  ['W14 2,000 fields', handshake().replace('\r\n\r\n', `\r\n${'a:\r\n'.repeat(2000)}\r\n`), 431],
]

test('upgrades that are refused', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await rawBackend(t, () => undefined)
  routes.open('demo', backend.port)
  for (const [title, bytes, status] of REFUSED) {
    await t.test(`${title} is ${status} as plain HTTP and no dial`, async (t) => {
      const answer = parseAnswer(await exchangeRaw(t, port, bytes))
      assert.equal(answer.status, status, answer.head)
      assert.match(answer.head, /\r\nConnection: close/i)
      assert.equal(backend.sockets.length, 0)
    })
  }
})

test('W2 a wrong version is told the right one', async (t) => {
  const { port } = await startProxyApp(t)
  const text = await exchangeRaw(t, port, handshake(undefined, 'Sec-WebSocket-Version: 99'))
  assert.match(text, /\r\nSec-WebSocket-Version: 13\r\n/)
})

test('W3 an upgrade from an allowed origin and from its own page is tunnelled', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await cannedBackend(t, `${SWITCH}\r\n`, false)
  routes.open('demo', backend.port, { allowOrigins: ['https://app.example'] })
  for (const origin of ['http://localhost', 'https://app.example']) {
    const socket = await rawConnect(t, port)
    socket.write(handshake(undefined, `Origin: ${origin}`))
    assert.match(await readUntil(socket, (text) => text.endsWith('\r\n\r\n')), /^HTTP\/1.1 101 /)
    socket.destroy()
  }
})

test('W4 with HIVE_PROXY_AUTH=token an upgrade needs it like any request, and the token is not passed on', async (t) => {
  const { routes, port } = await startProxyApp(t, { config: { proxyAuth: 'token' } })
  const backend = await cannedBackend(t, `${SWITCH}\r\n`, false)
  routes.open('demo', backend.port)
  assert.equal(parseAnswer(await exchangeRaw(t, port, handshake())).status, 401)
  assert.equal(backend.sockets.length, 0)
  const socket = await rawConnect(t, port)
  const dialled = once(backend.server, 'connection') as Promise<[Socket]>
  socket.write(handshake(undefined, `Hive-Token: ${HIVE_TOKEN}`))
  const [upstream] = await dialled
  const [head] = (await once(upstream, 'data')) as [Buffer]
  assert.ok(!head.toString('latin1').includes(HIVE_TOKEN))
})

const RELAYED: readonly (readonly [title: string, answer: string, status: number, body: string])[] = [
  ['W6 404', 'HTTP/1.1 404 Not Found\r\nX-Own: 1\r\nContent-Length: 4\r\n\r\nnope', 404, 'nope'],
  [
    'W6 500 in chunks',
    'HTTP/1.1 500 Bad\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhm\r\n0\r\n\r\n',
    500,
    'hm',
  ],
  ['W6 200', 'HTTP/1.1 200 OK\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nok', 200, 'ok'],
]
for (const [title, bytes, status, body] of RELAYED) {
  test(`${title} of the cocoon is relayed as plain HTTP with fields and body`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await cannedBackend(t, bytes)
    routes.open('demo', backend.port)
    const answer = parseAnswer(await exchangeRaw(t, port, handshake()))
    assert.equal(answer.status, status)
    assert.match(answer.head, /X-Own: 1/)
    assert.ok(answer.body.includes(body))
  })
}

test('W6 a redirect of the cocoon is mapped like any other', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await cannedBackend(t, 'HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n')
  routes.open('demo', backend.port)
  assert.match(parseAnswer(await exchangeRaw(t, port, handshake())).head, /\r\nLocation: \/cocoons\/demo\/login/)
})

const BROKEN: readonly (readonly [title: string, answer: string])[] = [
  ['a wrong accept hash', `${SWITCH.replace(ACCEPT, 'AAAA')}\r\n`],
  ['another protocol', `${SWITCH.replace('websocket', 'chat')}\r\n`],
  ['101 without Upgrade', `HTTP/1.1 101 Switching Protocols\r\n\r\n`],
  ['a line break in the protocol', `${SWITCH}Sec-WebSocket-Protocol: a\rb: c\r\n\r\n`],
  ['no HTTP', 'hello\r\n\r\n'],
  ['407', 'HTTP/1.1 407 Proxy\r\nContent-Length: 0\r\n\r\n'],
]
for (const [title, bytes] of BROKEN) {
  test(`W6 ${title} is 502 and no 101`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await cannedBackend(t, bytes, false)
    routes.open('demo', backend.port)
    assert.equal(parseAnswer(await exchangeRaw(t, port, handshake())).status, 502)
    await until(() => backend.sockets.every((s) => s.destroyed || s.readableEnded), 5_000, 'the close')
  })
}

test('W6 fields of one connection do not survive in a 101', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const extra = 'Content-Length: 5\r\nKeep-Alive: 1\r\nSet-Cookie: a=1; Path=/\r\n'
  const backend = await cannedBackend(t, `${SWITCH}${extra}\r\n`, false)
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write(handshake())
  const head = await readUntil(socket, (text) => text.endsWith('\r\n\r\n'))
  assert.ok(!/content-length|keep-alive/i.test(head), head)
  assert.match(head, /Set-Cookie: a=1; Path=\/cocoons\/demo\/\r\n/)
})

test('F46 a cocoon that answers no upgrade is 504 at the limit', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { headersMs: 50 } })
  const backend = await rawBackend(t, () => undefined)
  routes.open('demo', backend.port)
  assert.equal(parseAnswer(await exchangeRaw(t, port, handshake())).status, 504)
})

test('W8 bytes right behind the handshake and right behind the 101 arrive once and in order', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const received: Buffer[] = []
  const backend = await rawBackend(t, (socket) => {
    socket.once('data', (head: Buffer) => {
      received.push(head.subarray(head.indexOf('\r\n\r\n') + 4))
      socket.on('data', (chunk) => received.push(chunk))
      socket.write(`${SWITCH}\r\nfirst`)
    })
  })
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write(`${handshake()}early`)
  const text = await readUntil(socket, (seen) => seen.endsWith('\r\n\r\nfirst'))
  assert.equal(parseAnswer(text).body, 'first')
  socket.write(' late')
  await until(() => Buffer.concat(received).toString() === 'early late', 5_000, 'the bytes in order')
})

for (const side of ['client', 'cocoon'] as const) {
  test(`W9 a ${side} that stops reading holds up 64 MB at the other end, not in Hive`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await rawBackend(t, (socket) => {
      socket.once('data', () => {
        socket.write(`${SWITCH}\r\n`)
        if (side === 'cocoon') socket.pause()
      })
    })
    routes.open('demo', backend.port)
    const client = await rawConnect(t, port)
    client.write(handshake())
    await readUntil(client, (text) => text.endsWith('\r\n\r\n'))
    const [reader, writer] = side === 'client' ? [client, backend.sockets[0]!] : [backend.sockets[0]!, client]
    reader.pause()
    const piece = Buffer.alloc(1_048_576, 'z')
    for (let i = 0; i < 64; i += 1) writer.write(piece)
    // What left the writer sits in the sockets between and in Hive; most of it must still be with the writer.
    let last = -1
    await until(
      async () => {
        const still = writer.writableLength === last
        last = writer.writableLength
        await new Promise((resolve) => setTimeout(resolve, 200))
        return still
      },
      20_000,
      'the writer to be paused',
    )
    assert.ok(writer.writableLength > 32 * 1_048_576, `${writer.writableLength} bytes are left`)
    let count = 0
    reader.on('data', (chunk: Buffer) => {
      count += chunk.length
    })
    reader.resume()
    await until(() => count === 64 * 1_048_576, 20_000, 'all bytes after the reader went on')
  })
}

test('W11 an end in one direction leaves the other open until it ends too', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await rawBackend(t, (socket) => {
    socket.once('data', () => socket.write(`${SWITCH}\r\n`))
    socket.on('end', () => socket.end('answer after the end'))
  })
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write(handshake())
  await readUntil(socket, (text) => text.endsWith('\r\n\r\n'))
  const rest = readAll(socket)
  socket.end('bye')
  assert.equal(await rest, 'answer after the end')
})

test('F50 a tunnel without a byte is closed at the idle limit', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { tunnelIdleMs: 50 } })
  const backend = await cannedBackend(t, `${SWITCH}\r\n`, false)
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write(handshake())
  await within(readAll(socket), 5_000, 'the close')
})

test('F50 a half-closed tunnel is closed at its own limit', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { tunnelLingerMs: 50 } })
  const backend = await cannedBackend(t, `${SWITCH}\r\n`, false)
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write(handshake())
  await readUntil(socket, (text) => text.endsWith('\r\n\r\n'))
  socket.end()
  await within(readAll(socket), 5_000, 'the close')
})

test('W13 a tunnel and a dial under way end with their attempt', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await startWsBackend(t)
  const route = routes.open('demo', backend.port)
  const socket = await openWs(t, `ws://127.0.0.1:${port}/cocoons/demo/`)
  const silent = await rawBackend(t, () => undefined)
  routes.open('demo', silent.port)
  const dialling = exchangeRaw(t, port, handshake())
  await until(() => silent.sockets.length === 1, 5_000, 'the dial')
  routes.close(route)
  await within(once(socket, 'close'), 5_000, 'the close')
  assert.equal(parseAnswer(await dialling).status, 502)
  await until(() => backend.open.size === 0, 5_000, 'the close at the cocoon')
})

for (const [title, target] of [
  ['of a cocoon', '/cocoons/demo/'],
  ['that is refused', '/control'],
] as const) {
  test(`P12 W2 an upgrade ${title} right behind a request under way closes the connection, and nothing else`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await startWsBackend(t)
    routes.open('demo', backend.port)
    const hangs = await rawBackend(t, () => undefined)
    routes.open('hangs', hangs.port)
    const request = 'GET /cocoons/hangs/ HTTP/1.1\r\nHost: localhost\r\n\r\n'
    assert.equal(await exchangeRaw(t, port, request + handshake(target)), '')
    assert.deepEqual(backend.urls, [])
    assert.match(await exchangeRaw(t, port, handshake('/control')), /^HTTP\/1.1 404/)
  })
}

test('W12 closing Hive closes its tunnels', async (t) => {
  const { app, routes, port } = await startProxyApp(t)
  const backend = await startWsBackend(t)
  routes.open('demo', backend.port)
  const sockets = await Promise.all(Array.from({ length: 50 }, () => openWs(t, `ws://127.0.0.1:${port}/cocoons/demo/`)))
  const closed = Promise.all(sockets.map((socket) => once(socket, 'close')))
  await within(app.close(), 5_000, 'close')
  await within(closed, 5_000, 'the tunnels to close')
})

test('an upgrade to another protocol is tunnelled as it is', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\nhi'
  const backend = await cannedBackend(t, answer, false)
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write('POST /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n')
  const text = await readUntil(socket, (seen) => seen.endsWith('hi'))
  assert.match(text, /^HTTP\/1.1 101 [\s\S]*Upgrade: chat\/2\r\n/)
})
