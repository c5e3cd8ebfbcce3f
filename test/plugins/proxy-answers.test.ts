import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { until, within } from '../support/deadline.ts'
import { startProxyApp } from '../support/proxy-app.ts'
import { cannedBackend, exchangeRaw, get, parseAnswer, rawBackend, rawConnect, readAll } from '../support/raw-http.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const HINT = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'

/** Answers of a cocoon that cannot be relayed: the client gets 502 and the socket is not used again. */
const BROKEN: readonly (readonly [title: string, answer: string])[] = [
  [
    'U1 Content-Length with Transfer-Encoding',
    `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
  ],
  ['U1 two lengths', `${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ['U1 a control character in a field', `${OK}X: a\x01b\r\nContent-Length: 0\r\n\r\n`],
  ['U1 a field of 100 KB', `${OK}X: ${'a'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`],
  ['U1 the status 099', 'HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n'],
  ['U1 no HTTP at all', 'hello\r\n'],
  ['U1 a gzip transfer coding', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['U2 endless interim answers', `${HINT.repeat(50)}${OK}Content-Length: 0\r\n\r\n`],
  ['U13 an unsolicited 101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ['U13 an unsolicited 101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['U13 407', 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'],
  ['F44 nothing, then a close', ''],
]

test('answers that cannot be relayed', async (t) => {
  const { routes, port } = await startProxyApp(t)
  for (const [title, bytes] of BROKEN) {
    await t.test(`${title} is 502 and the socket is closed`, async (t) => {
      const backend = await cannedBackend(t, bytes, bytes === '')
      routes.open('demo', backend.port)
      const { status, body } = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
      assert.equal(status, 502, body)
      assert.equal(JSON.parse(body).code, 'HIVE_UPSTREAM_UNREACHABLE')
      await until(() => backend.sockets.every((socket) => socket.readableEnded || socket.destroyed), 5_000, 'the close')
      assert.equal(backend.sockets.length, 1)
    })
  }
})

test('U2 up to eight interim answers are dropped', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await cannedBackend(t, `${HINT.repeat(8)}${OK}Content-Length: 2\r\n\r\nok`)
  routes.open('demo', backend.port)
  const text = await exchangeRaw(t, port, get('/cocoons/demo/'))
  assert.ok(text.startsWith('HTTP/1.1 200 OK'), text)
  assert.equal(parseAnswer(text).body, 'ok')
})

for (const status of ['204 No Content', '205 Reset Content', '304 Not Modified']) {
  test(`U2 a body with ${status} is not delivered, and the next request is sound`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await cannedBackend(t, `HTTP/1.1 ${status}\r\nContent-Length: 4\r\n\r\nbody`, false)
    routes.open('demo', backend.port)
    for (let i = 0; i < 2; i += 1) {
      const answer = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
      assert.deepEqual([String(answer.status), answer.body], [status.slice(0, 3), ''])
    }
  })
}

const TRUNCATED: readonly (readonly [title: string, answer: string])[] = [
  ['a body shorter than its length', `${OK}Content-Length: 10\r\n\r\nabc`],
  ['chunks without the last one', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`],
  [
    'chunks without the last one and Connection: close',
    `${OK}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
  ],
  ['a broken chunk', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`],
]
for (const [title, answer] of TRUNCATED) {
  test(`U4 F44 ${title} cuts the client off and never ends cleanly`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await cannedBackend(t, answer)
    routes.open('demo', backend.port)
    const socket = await rawConnect(t, port)
    const all = readAll(socket)
    // Keep-alive, so that only the broken answer can close the connection.
    socket.write('GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const text = await all
    assert.ok(!text.endsWith('0\r\n\r\n'), text)
    if (text !== '') assert.ok(!/content-length: 3\r\n/i.test(text), text)
  })
}

test('U5 F45 bytes after an answer and answers nobody asked for reach nobody', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const evil = `${OK}Content-Length: 4\r\n\r\nevil`
  let count = 0
  const backend = await rawBackend(t, (socket: Socket) => {
    socket.on('data', () => {
      count += 1
      socket.write(`${OK}Content-Length: 1\r\n\r\n${count}${count % 2 === 1 ? evil : ''}`)
    })
  })
  routes.open('demo', backend.port)
  const bodies: string[] = []
  for (let i = 0; i < 6; i += 1) {
    bodies.push(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/'))).body)
    // What nobody asked for comes while the connection is idle; behind the next request nobody could tell it apart.
    const last = backend.sockets.at(-1)
    if (i % 2 === 0 || last === undefined) continue
    const dropped = Promise.race([once(last, 'end'), once(last, 'close')])
    last.write(evil)
    await within(dropped, 10_000, 'the end of the connection')
  }
  assert.deepEqual(bodies, ['1', '2', '3', '4', '5', '6'])
})

test('U11 an encoded body passes undecoded', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const bytes = '\x1f\x8bnot really gzip'
  const backend = await cannedBackend(
    t,
    `${OK}Content-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n${bytes}`,
  )
  routes.open('demo', backend.port)
  const { head, body } = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/', 'Accept-Encoding: gzip')))
  assert.match(head, /Content-Encoding: gzip/)
  assert.equal(body, bytes)
})

test('U13 421 and 426 pass as they are', async (t) => {
  const { routes, port } = await startProxyApp(t)
  for (const status of ['421 Misdirected Request', '426 Upgrade Required', '418 Teapot', '599 Own']) {
    const backend = await cannedBackend(t, `HTTP/1.1 ${status}\r\nX-Own: 1\r\nContent-Length: 0\r\n\r\n`)
    routes.open('demo', backend.port)
    const { head } = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
    assert.ok(head.startsWith(`HTTP/1.1 ${status}\r\n`), head)
    assert.match(head, /X-Own: 1/)
  }
})

test('U3 U6 U7 fields of an answer are filtered and mapped on the wire', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const fields = [
    'Connection: X-Secret',
    'X-Secret: 1',
    'Keep-Alive: timeout=9',
    'Location: /login?a=%2f',
    'Set-Cookie: a=1; Path=/; Domain=localhost',
    'Set-Cookie: b=2',
    'X-Two: 1',
    'X-Two: 2',
    'X-Latin: caf\u00e9',
  ]
  const backend = await cannedBackend(t, `HTTP/1.1 302 Found\r\n${fields.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`)
  routes.open('demo', backend.port)
  const { head } = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
  const lines = head
    .split('\r\n')
    .slice(1)
    .filter((line) => !/^(Date|Connection):/.test(line))
  assert.deepEqual(lines, [
    'Location: /cocoons/demo/login?a=%2f',
    'Set-Cookie: a=1; Path=/cocoons/demo/',
    'Set-Cookie: b=2',
    'X-Two: 1',
    'X-Two: 2',
    'X-Latin: caf\u00e9',
    'Content-Length: 0',
  ])
})

test('U12 a body that stalls is cut at the idle limit', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { bodyIdleMs: 50 } })
  const backend = await cannedBackend(t, `${OK}Content-Length: 10\r\n\r\nabc`, false)
  routes.open('demo', backend.port)
  const text = await exchangeRaw(t, port, 'GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.equal(parseAnswer(text).body, 'abc')
  await until(() => backend.sockets.every((socket) => socket.readableEnded || socket.destroyed), 5_000, 'the close')
})

test('a client of HTTP/1.0 gets a body without chunks that ends with the connection', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await cannedBackend(t, `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)
  routes.open('demo', backend.port)
  const { head, body } = parseAnswer(
    await exchangeRaw(t, port, 'GET /cocoons/demo/ HTTP/1.0\r\nHost: localhost\r\n\r\n'),
  )
  assert.equal(body, 'abc')
  assert.ok(!/transfer-encoding/i.test(head), head)
})

test('a refused upload is read to its end, and the connection stays sound', async (t) => {
  const { port } = await startProxyApp(t)
  const size = 4_000_000
  const upload = `POST /cocoons/nope/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`
  const text = await exchangeRaw(t, port, upload + get('/control'))
  assert.ok(text.startsWith('HTTP/1.1 404 '), text.slice(0, 200))
  assert.ok(text.includes('"plane":"control"'), text)
})

test('a refused upload that never ends is cut after the linger time', async (t) => {
  const { port } = await startProxyApp(t, { limits: { lingerMs: 50 } })
  const text = await exchangeRaw(
    t,
    port,
    'POST /cocoons/nope/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx',
  )
  assert.ok(text.startsWith('HTTP/1.1 404 '), text)
})

test('an early answer to an upload reaches the client, and the connection stays sound', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await cannedBackend(t, 'HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate')
  routes.open('demo', backend.port)
  const size = 4_000_000
  const upload = `POST /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`
  const text = await exchangeRaw(t, port, upload + get('/control'))
  assert.ok(text.startsWith('HTTP/1.1 413 '), text.slice(0, 200))
  assert.ok(text.includes('"plane":"control"'), text)
})
