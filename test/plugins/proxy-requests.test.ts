import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldOf, startEcho } from '../support/fixtures/proxy-echo.ts'
import { startProxyApp } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawConnect, readAll, readUntil } from '../support/raw-http.ts'

/** Raw requests that must be refused with the connection closed, before the cocoon sees a byte. */
const P = '/cocoons/demo/'
const POST = `POST ${P} HTTP/1.1\r\nHost: localhost\r\n`
const REFUSED: readonly (readonly [title: string, bytes: string, status: readonly number[]])[] = [
  [
    'P1 Content-Length with Transfer-Encoding',
    `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    [400],
  ],
  ['P2 two different lengths', `${POST}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`, [400]],
  ['P2 two equal lengths', `${POST}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`, [400]],
  ['P2 a list of lengths', `${POST}Content-Length: 4, 4\r\n\r\nabcd`, [400]],
  ['P2 a signed length', `${POST}Content-Length: +4\r\n\r\nabcd`, [400]],
  ['P2 a hex length', `${POST}Content-Length: 0x4\r\n\r\nabcd`, [400]],
  ['P2 a blank before the colon', `${POST}Content-Length : 4\r\n\r\nabcd`, [400]],
  ['P3 an unknown coding', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['P3 chunked not last', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['P3 chunked twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['P4 gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, [400, 501]],
  [
    'P5 Transfer-Encoding in HTTP/1.0',
    `${POST.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    [400],
  ],
  ['P8 an obsolete fold', `${POST}X: a\r\n b\r\n\r\n`, [400]],
  ['P8 a control character', `${POST}X: a\x01b\r\n\r\n`, [400]],
  ['P8 a bare carriage return', `${POST}X: a\rb\r\n\r\n`, [400]],
  ['P9 HTTP/0.9', `GET ${P}\r\n\r\n`, [400, 505]],
  ['P10 HTTP/1.2', `GET ${P} HTTP/1.2\r\nHost: localhost\r\n\r\n`, [400, 505]],
  ['P10 HTTP/2.0', `GET ${P} HTTP/2.0\r\nHost: localhost\r\n\r\n`, [400, 505]],
  ['P10 the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
  ['P10 lower case http', `GET ${P} http/1.1\r\nHost: localhost\r\n\r\n`, [400]],
  ['P11 no Host', `GET ${P} HTTP/1.1\r\n\r\n`, [400]],
  ['P11 two Hosts', `GET ${P} HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n`, [400]],
  ['P11 a list of Hosts', `GET ${P} HTTP/1.1\r\nHost: localhost, evil\r\n\r\n`, [400]],
  ['P11 Host with userinfo', `GET ${P} HTTP/1.1\r\nHost: evil@localhost\r\n\r\n`, [400]],
  ['A30 a foreign Host', `GET ${P} HTTP/1.1\r\nHost: evil.example\r\n\r\n`, [421]],
  ['A35 P30 absolute form of a foreign host', `GET http://evil${P} HTTP/1.1\r\nHost: localhost\r\n\r\n`, [421]],
  ['A1 two Authorization fields', `${POST}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n`, [400]],
  ['A5 P31 101 fields', `GET ${P} HTTP/1.1\r\nHost: localhost\r\n${'X: 1\r\n'.repeat(100)}\r\n`, [431]],
  ['A5 2,500 fields, then Authorization', `${POST}${'a:\r\n'.repeat(2500)}Authorization: Bearer x\r\n\r\n`, [431]],
  ['P31 a field of 20 KB', `GET ${P} HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, [431]],
  ['P31 an empty field name', `GET ${P} HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n`, [400]],
  ['P31 a field name with a parenthesis', `GET ${P} HTTP/1.1\r\nHost: localhost\r\na(b: x\r\n\r\n`, [400]],
]

test('requests whose framing or host is in doubt', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  for (const [title, bytes, statuses] of REFUSED) {
    await t.test(`${title} is refused and the connection closed`, async (t) => {
      const answer = parseAnswer(await exchangeRaw(t, port, bytes))
      assert.ok(statuses.includes(answer.status), `${answer.status}: ${answer.head}`)
      assert.match(JSON.parse(answer.body).code, /^HIVE_/)
      assert.equal(seen.length, 0)
    })
  }
})

test('addresses that could be read in two ways', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const targets: readonly (readonly [row: string, target: string, status: readonly number[]])[] = [
    ['P17', `${P}../x`, [400]],
    ['P17', `${P}%2e%2e/x`, [400]],
    ['P17', `${P}..%2fx`, [400]],
    ['P17', `${P}..%5cx`, [400]],
    ['P17', `${P}..\\x`, [400]],
    ['P19', `${P}\u00e9`, [400]],
    ['P23', `${P}%zz`, [400]],
    ['P23', `${P}%c0%ae%c0%ae/`, [400]],
    ['P26', `${P}#frag`, [400]],
    ['P26', `${P}?a#frag`, [400]],
    ['P27', '/cocoons/%64emo/x', [400, 404]],
    ['P27', '/cocoons/d%45mo/x', [400, 404]],
    ['P27', '/%63ocoons/demo/x', [400, 404]],
    ['P28', '/cocoons/demo%2f../x', [400, 404]],
    ['P28', '/cocoons//x', [400, 404]],
    ['P28', '/cocoons/Demo/x', [400, 404]],
    ['P28', '/cocoons/demo;x/y', [400, 404]],
    ['P28', '/cocoons/demo%00/x', [400, 404]],
    ['A34', '//cocoons/demo/x', [400, 404]],
    ['A34', '/COCOONS/demo/x', [400, 404]],
  ]
  for (const [row, target, statuses] of targets) {
    await t.test(`${row} ${target} is refused`, async (t) => {
      const { status } = parseAnswer(await exchangeRaw(t, port, get(target)))
      assert.ok(statuses.includes(status), String(status))
      assert.equal(seen.length, 0)
    })
  }
})

test('A35 P30 absolute form is served under the authority of the target', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const status = async (target: string): Promise<number> =>
    parseAnswer(await exchangeRaw(t, port, get(target).replace('Host: localhost', 'Host: evil.example'))).status
  assert.equal(await status(`http://localhost:1${P}x?y`), 200)
  assert.deepEqual([seen[0]?.url, fieldOf(seen[0]!, 'host')], ['/x?y', ['localhost:1']])
  assert.equal(await status('http://demo.localhost?y'), 200)
  assert.deepEqual([seen[1]?.url, fieldOf(seen[1]!, 'host')], ['/?y', ['demo.localhost']])
  assert.equal(await status('http://localhost/control'), 200)
})

test('P30 OPTIONS * is 404 and CONNECT closes the connection', async (t) => {
  const { port } = await startProxyApp(t)
  const star = 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  assert.equal(parseAnswer(await exchangeRaw(t, port, star)).status, 404)
  const starOfCocoon = star.replace('localhost', 'demo.localhost')
  assert.equal(parseAnswer(await exchangeRaw(t, port, starOfCocoon)).status, 400)
  assert.equal(await exchangeRaw(t, port, 'CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n'), '')
})

test('P6 P7 P12 bytes of a body stay body, and pipelined requests are answered in order', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const inner = get(`${P}inner`)
  const nested = `${POST}Content-Length: ${inner.length}\r\n\r\n${inner}`
  const trailers = `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nHost: evil\r\nAuthorization: x\r\n\r\n`
  const pipelined = Array.from({ length: 20 }, (_, i) => `GET ${P}${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join('')
  const text = await exchangeRaw(t, port, nested + trailers + pipelined + get(`${P}last`))
  const urls = [...text.matchAll(/"url":"([^"]*)"/g)].map(([, url]) => url)
  assert.deepEqual(urls, ['/', '/', ...Array.from({ length: 20 }, (_, i) => `/${i}`), '/last'])
  assert.deepEqual([seen[0]?.body, seen[1]?.body], [inner, 'a'])
  assert.equal(fieldOf(seen[1]!, 'authorization').length, 0)
})

test('P13 Expect: 100-continue gets its 100 and its answer; another expectation gets 417', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const socket = await rawConnect(t, port)
  socket.write(`${POST}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`)
  await readUntil(socket, (text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  const rest = readAll(socket)
  socket.write('abc')
  assert.equal(parseAnswer(await rest).status, 200)
  assert.equal(seen[0]?.body, 'abc')
  assert.equal(parseAnswer(await exchangeRaw(t, port, get(P, 'Expect: foo'))).status, 417)
})

test('P15 P16 connection fields and an offered h2c are ignored, the request is served', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const fields = ['Keep-Alive: 300', 'Proxy-Connection: x', 'Upgrade: foo', 'TE: trailers', 'Trailer: x']
  assert.equal(parseAnswer(await exchangeRaw(t, port, get(P, ...fields))).status, 200)
  const h2c = `GET ${P} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`
  assert.equal(parseAnswer(await exchangeRaw(t, port, h2c)).status, 200)
  for (const echo of seen) {
    for (const name of ['keep-alive', 'proxy-connection', 'upgrade', 'te', 'trailer', 'http2-settings']) {
      assert.deepEqual(fieldOf(echo, name), [], name)
    }
  }
})

test('P31 P32 obs-text and names of object members pass, names with an underscore do not', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const text = get(P, 'X-Obs: caf\u00e9', '__proto__: 1', 'constructor: 2', 'toString: 3', 'a_b: 4')
  assert.equal(parseAnswer(await exchangeRaw(t, port, text)).status, 200)
  const [echo] = seen
  assert.deepEqual(fieldOf(echo!, 'x-obs'), ['caf\u00e9'])
  assert.deepEqual(
    [fieldOf(echo!, 'constructor'), fieldOf(echo!, 'tostring'), fieldOf(echo!, 'a_b')],
    [['2'], ['3'], []],
  )
})

test('P33 P36 the way to the cocoon comes from the route table, its view of the client from Hive', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const spoofed = [
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Host: evil',
    'X-Original-URL: /x',
    'X-Hive-A: 1',
    'Via: 1.1 edge',
  ]
  const text = get(`${P}?host=evil:22`, ...spoofed).replace('Host: localhost', 'Host: 127.0.0.1:22')
  assert.equal(parseAnswer(await exchangeRaw(t, port, text)).status, 200)
  const echo = seen[0]!
  assert.deepEqual(fieldOf(echo, 'x-forwarded-for'), ['127.0.0.1'])
  assert.deepEqual(fieldOf(echo, 'x-forwarded-host'), ['127.0.0.1:22'])
  assert.deepEqual(fieldOf(echo, 'x-forwarded-proto'), ['http'])
  assert.deepEqual(fieldOf(echo, 'x-hive-a'), [])
  assert.deepEqual(fieldOf(echo, 'via'), ['1.1 edge, 1.1 hive'])
  const loop = get(P, `Via: ${Array(20).fill('1.1 hive').join(', ')}`)
  assert.equal(parseAnswer(await exchangeRaw(t, port, loop)).status, 508)
})

test('P60 a 503 of the cocoon with Retry-After reaches the client after one request', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { server, seen, port: backend } = await startEcho(t)
  server.prependListener('request', (_req, res) => {
    res.statusCode = 503
    res.setHeader('Retry-After', '1')
  })
  routes.open('demo', backend)
  const { status, head } = parseAnswer(await exchangeRaw(t, port, get(P)))
  assert.equal(status, 503)
  assert.match(head, /Retry-After: 1/)
  assert.equal(seen.length, 1)
})

test('the cross-site rules answer 403 before the cocoon sees a byte', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend, { allowOrigins: ['http://friend'] })
  const status = async (...fields: string[]): Promise<number> =>
    parseAnswer(await exchangeRaw(t, port, get(P, ...fields))).status
  assert.equal(await status('Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: image'), 403)
  assert.equal(seen.length, 0)
  assert.equal(await status('Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: cors', 'Origin: http://friend'), 200)
  assert.equal(await status('Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'), 200)
})
