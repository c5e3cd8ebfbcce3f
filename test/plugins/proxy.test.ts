import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RouteAnswer } from '../../src/proxy/target.ts'
import { fieldOf, startEcho } from '../support/fixtures/proxy-echo.ts'
import { HIVE_TOKEN, startProxyApp } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawBackend } from '../support/raw-http.ts'

test('path mode strips the prefix and keeps path and query byte for byte', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  for (const path of ['/', '/a%20b//c/./d?x=%2f+%zz&x', '//evil/x', '/..foo', '/{x}|^"`', '/?', '/%252e%252e/x']) {
    const answer = parseAnswer(await exchangeRaw(t, port, get(`/cocoons/demo${path}`)))
    assert.equal(answer.status, 200, path)
    assert.equal(seen.at(-1)?.url, path)
  }
})

test('P19 P25 any printable path and query reaches the cocoon byte for byte', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const piece = fc.oneof(
    fc.stringMatching(/^[!"$&-.:-~]$/),
    fc.constantFrom('/', '%2f', '%20', '%e2%82%ac', '%252e', '%00'),
  )
  const path = fc
    .array(piece, { maxLength: 40 })
    .map((pieces) => `/${pieces.join('')}`)
    .filter((text) => !/(?:^|[/\\]|%2f)\.\.(?:$|[/\\;]|%2f)/.test(text))
  const query = fc.stringMatching(/^(?:\?[!"$-~]{0,40})?$/)
  await fc.assert(
    fc.asyncProperty(path, query, async (above, below) => {
      const { status } = parseAnswer(await exchangeRaw(t, port, get(`/cocoons/demo${above}${below}`)))
      assert.equal(status, 200)
      assert.equal(seen.at(-1)?.url, above + below)
    }),
    { numRuns: 200 },
  )
})

test('a route that keeps its prefix gets the whole path and no X-Forwarded-Prefix', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend, { stripPrefix: false })
  await exchangeRaw(t, port, get('/cocoons/demo/x?y'))
  assert.equal(seen[0]?.url, '/cocoons/demo/x?y')
  assert.deepEqual(fieldOf(seen[0]!, 'x-forwarded-prefix'), [])
})

test('P28 an app that keeps its prefix answers for the bare name itself: it may redirect to it', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend, { stripPrefix: false })
  assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo?a=1'))).status, 200)
  assert.equal(seen[0]?.url, '/cocoons/demo?a=1')
})

test('P28 the bare name is redirected to its slash with the query kept, whatever the method', async (t) => {
  const { port } = await startProxyApp(t)
  for (const [target, location] of [
    ['/cocoons/demo', '/cocoons/demo/'],
    ['/cocoons/demo?a=%2f', '/cocoons/demo/?a=%2f'],
    ['/cocoons/cocoons:demo:80?', '/cocoons/cocoons:demo:80/?'],
  ]) {
    const { status, head } = parseAnswer(await exchangeRaw(t, port, get(target as string).replace('GET', 'PUT')))
    assert.equal(status, 308)
    assert.ok(head.includes(`\r\nLocation: ${location}\r\n`), head)
  }
})

test('a port in the address reaches only ports of the record', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const main = await startEcho(t)
  const side = await startEcho(t)
  const binding = { port: 9000, host: '127.0.0.1', hostPort: side.port, protocol: 'tcp', name: null } as const
  routes.open('demo', main.port, { ports: [binding] })

  assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo:9000/x'))).status, 200)
  const byHost = get('/y').replace('Host: localhost', 'Host: 9000--demo.localhost')
  assert.equal(parseAnswer(await exchangeRaw(t, port, byHost)).status, 200)
  assert.deepEqual(
    side.seen.map(({ url }) => url),
    ['/x', '/y'],
  )
  for (const other of [main.port, side.port, 22, 0, 99999]) {
    const { status, body } = parseAnswer(await exchangeRaw(t, port, get(`/cocoons/demo:${other}/x`)))
    assert.equal(status, 404)
    assert.equal(JSON.parse(body).code, 'HIVE_COCOON_NO_ENDPOINT')
  }
  assert.equal(main.seen.length, 0)
})

const CLOSED: readonly (readonly [RouteAnswer, status: number, code: string, retryAfter: string | null])[] = [
  [{ answer: 'unknown' }, 404, 'HIVE_SERVICE_UNKNOWN', null],
  [{ answer: 'no-endpoint' }, 404, 'HIVE_COCOON_NO_ENDPOINT', null],
  [{ answer: 'removed' }, 410, 'HIVE_COCOON_GONE', null],
  [{ answer: 'waiting', retryAfterS: 2, state: 'starting' }, 503, 'HIVE_COCOON_NOT_READY', '2'],
  [{ answer: 'ended', state: 'failed' }, 503, 'HIVE_COCOON_NOT_READY', null],
]
for (const [answer, status, code, retryAfter] of CLOSED) {
  test(`P29 U14 a cocoon that is ${answer.answer} answers ${status}, as a problem or as a page`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    routes.set('demo', answer)
    const problem = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
    assert.equal(problem.status, status)
    assert.equal(JSON.parse(problem.body).code, code)
    assert.match(problem.head, /application\/problem\+json/)
    assert.equal(/\r\nRetry-After: (\d+)/.exec(problem.head)?.[1] ?? null, retryAfter)

    const page = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/', 'Accept: text/html')))
    assert.equal(page.status, status)
    assert.match(page.head, /text\/html/)
    for (const { head } of [problem, page]) assert.match(head, /X-Content-Type-Options: nosniff/)
    assert.match(page.head, /Content-Security-Policy: default-src 'none'/)
    assert.equal(page.body.includes('http-equiv="refresh"'), retryAfter !== null)
  })
}

test('a dead cocoon is 502 and the answer names no internal address', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const gone = await rawBackend(t, () => undefined)
  gone.server.close()
  routes.open('demo', gone.port)
  const answer = await exchangeRaw(t, port, get('/cocoons/demo/'))
  assert.equal(parseAnswer(answer).status, 502)
  assert.equal(JSON.parse(parseAnswer(answer).body).code, 'HIVE_UPSTREAM_UNREACHABLE')
  assert.ok(!answer.includes(String(gone.port)) && !answer.includes('127.0.0.1'), answer)
})

test('F46 a cocoon that never answers is 504 at the limit', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { headersMs: 50 } })
  const silent = await rawBackend(t, () => undefined)
  routes.open('demo', silent.port)
  const { status, body } = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
  assert.equal(status, 504)
  assert.equal(JSON.parse(body).code, 'HIVE_UPSTREAM_TIMEOUT')
})

test('P35 every method and every body is relayed exactly, GET with a body included', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'REPORT', 'QUERY']) {
    const sized = get('/cocoons/demo/', 'Content-Type: application/json ;a', 'Content-Length: 9').replace('GET', method)
    assert.equal(parseAnswer(await exchangeRaw(t, port, `${sized}{"a" : 1}`)).status, 200, method)
    assert.deepEqual([seen.at(-1)?.method, seen.at(-1)?.body], [method, '{"a" : 1}'])
    const chunked = get('/cocoons/demo/', 'Transfer-Encoding: chunked').replace('GET', method)
    assert.equal(
      parseAnswer(await exchangeRaw(t, port, `${chunked}3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`)).status,
      200,
    )
    assert.deepEqual([seen.at(-1)?.method, seen.at(-1)?.body], [method, 'abcde'])
  }
})

test('HEAD is relayed with the length of the body it does not have', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const { status, head, body } = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/').replace('GET', 'HEAD')))
  assert.deepEqual([status, body, seen[0]?.method], [200, '', 'HEAD'])
  assert.match(head, /content-length: [1-9]/i)
})

test('no answer comes from an older attempt: the connection of a closed attempt is not used again', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const held = await rawBackend(t, () => undefined)
  const route = routes.open('demo', held.port)
  const inFlight = exchangeRaw(t, port, get('/cocoons/demo/'))
  await new Promise<void>((resolve) => held.server.once('connection', (socket) => socket.once('data', () => resolve())))
  const next = await startEcho(t)
  routes.open('demo', next.port, { attempt: 2 })
  routes.close(route)
  assert.equal(parseAnswer(await inFlight).status, 502)
  assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/'))).status, 200)
  assert.equal(next.seen.length, 1)
})

test('host mode serves the cocoon at its root and nothing of the control plane', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  for (const path of ['/', '/control', '/cocoons/other/x', '/docs?x=%2f']) {
    const text = get(path).replace('Host: localhost', 'Host: demo.localhost:8020')
    assert.equal(parseAnswer(await exchangeRaw(t, port, text)).status, 200)
    const echo = seen.at(-1)!
    assert.equal(echo.url, path)
    assert.deepEqual(fieldOf(echo, 'host'), ['demo.localhost:8020'])
    assert.deepEqual(fieldOf(echo, 'x-forwarded-prefix'), [])
  }
  for (const label of ['nope', 'a.b', 'a--b']) {
    const text = get('/control').replace('Host: localhost', `Host: ${label}.localhost`)
    const { status } = parseAnswer(await exchangeRaw(t, port, text))
    assert.ok(status === 404 || status === 400, `${label}: ${status}`)
  }
})

test('W4 P34 with HIVE_PROXY_AUTH=token the header or the own cookie opens, and neither is passed on', async (t) => {
  const { cocoonCookieValue } = await import('../../src/proxy/cocoon-cookie.ts')
  const { Secret } = await import('../../src/secret.ts')
  const { routes, port } = await startProxyApp(t, { config: { proxyAuth: 'token' } })
  const { seen, port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const own = cocoonCookieValue(new Secret(HIVE_TOKEN), 'demo')
  const status = async (...fields: string[]): Promise<number> =>
    parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/', ...fields))).status

  for (const fields of [
    [],
    ['Hive-Token: wrong'],
    [`Authorization: Bearer ${HIVE_TOKEN}`],
    [`Cookie: hive-cocoon-other=${own}`],
    ['Cookie: hive-cocoon-demo=x'],
  ]) {
    assert.equal(await status(...fields), 401, fields.join())
  }
  assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/nope/'))).status, 401, 'existence is not told')
  assert.equal(await status(`Hive-Token: ${HIVE_TOKEN}`), 200)
  assert.equal(await status(`Cookie: a=1; hive-cocoon-demo=${own}`), 200)
  assert.deepEqual(
    seen.map((echo) => [fieldOf(echo, 'hive-token'), fieldOf(echo, 'cookie')]),
    [
      [[], []],
      [[], ['a=1']],
    ],
  )
})

test('A31 with HIVE_PROXY_AUTH=token 100 wrong ones a minute are followed by 429; the right one opens', async (t) => {
  const { routes, port } = await startProxyApp(t, { config: { proxyAuth: 'token' } })
  const { port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const ask = async (...fields: string[]) => parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/', ...fields)))
  for (let n = 0; n < 100; n += 1)
    assert.equal((await ask(n % 2 === 0 ? `Hive-Token: ${n}` : `Cookie: hive-cocoon-demo=${n}`)).status, 401)
  const { status, head, body } = await ask('Hive-Token: x')
  assert.deepEqual([status, JSON.parse(body).code], [429, 'HIVE_TOO_MANY_WRONG_TOKENS'])
  assert.match(head, /\r\nRetry-After: \d+/)
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Hive-Token: x`]
  assert.equal((await ask(...upgrade, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==')).status, 429)
  assert.equal((await ask(`Hive-Token: ${HIVE_TOKEN}`)).status, 200)
  assert.equal((await ask()).status, 401)
})

test('with HIVE_PROXY_PORT cocoons are served there only, and nothing else is', async (t) => {
  const { app, routes, port } = await startProxyApp(t, { config: { proxyPort: 1 } })
  const { port: backend } = await startEcho(t)
  routes.open('demo', backend)
  const plane = app.dataPlane!
  await new Promise<void>((resolve) => plane.listen(0, '127.0.0.1', resolve))
  const { port: dataPort } = plane.address() as { port: number }
  const status = async (at: number, text: string): Promise<number> => parseAnswer(await exchangeRaw(t, at, text)).status

  assert.equal(await status(port, get('/control')), 200)
  assert.equal(await status(dataPort, get('/control')), 404)
  assert.equal(await status(port, get('/cocoons/demo/')), 404)
  assert.equal(await status(dataPort, get('/cocoons/demo/')), 200)
  const byHost = get('/control').replace('Host: localhost', 'Host: demo.localhost')
  assert.equal(await status(port, byHost), 404)
  assert.equal(await status(dataPort, byHost), 200)
  assert.equal(await status(dataPort, get('/cocoons/demo/').replace('Host: localhost', 'Host: evil')), 421)
})
