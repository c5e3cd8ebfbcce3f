import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import hostGuard from '../../plugins/host-guard.ts'
import problemDetails from '../../plugins/problem-details.ts'
import { serverOptions } from '../../src/http/server-options.ts'
import { within } from '../support/deadline.ts'
import { TEST_CONFIG } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawConnect, readAll } from '../support/raw-http.ts'

/** A control plane with one route, which counts its calls. */
async function startControl(t: TestContext, bodyMs?: number): Promise<{ port: number; calls: () => number }> {
  let calls = 0
  const app = Fastify({ ...serverOptions(TEST_CONFIG), logger: false })
  await app.register(problemDetails)
  await app.register(hostGuard, { config: TEST_CONFIG, ...(bodyMs !== undefined && { bodyMs }) })
  app.all('/control', async (request) => {
    calls += 1
    return { body: request.body ?? null }
  })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: (app.server.address() as AddressInfo).port, calls: () => calls }
}

const HOSTS: readonly (readonly [host: string, status: number])[] = [
  ['localhost', 200],
  ['127.0.0.1:8020', 200],
  ['[::1]', 200],
  ['hive.test', 200],
  ['evil.example', 421],
  ['127.0.0.1.evil.example', 421],
  ['127.0.0.1@evil', 400],
  ['', 400],
]

test('A30 the control plane serves only hosts of the allow-list', async (t) => {
  const { port, calls } = await startControl(t)
  let served = 0
  for (const [host, status] of HOSTS) {
    if (status === 200) served += 1
    for (const path of ['/control', '/nothing-here']) {
      const answer = parseAnswer(await exchangeRaw(t, port, get(path).replace('Host: localhost', `Host: ${host}`)))
      assert.equal(answer.status, status === 200 && path !== '/control' ? 404 : status, `${host}${path}`)
      assert.match(JSON.parse(answer.body).code ?? 'HIVE_', /^HIVE_/)
    }
    assert.equal(calls(), served)
  }
})

test('A30 a spoofed X-Forwarded-Host changes nothing', async (t) => {
  const { port } = await startControl(t)
  const spoofed = get('/control', 'X-Forwarded-Host: localhost', 'Forwarded: host=localhost')
  const answer = await exchangeRaw(t, port, spoofed.replace('Host: localhost', 'Host: evil'))
  assert.equal(parseAnswer(answer).status, 421)
})

const REFUSED: readonly (readonly [title: string, bytes: string, status: number])[] = [
  ['A1 two Authorization fields', get('/control', 'Authorization: Bearer a', 'authorization: Bearer b'), 400],
  ['A5 2,500 fields, then Authorization', get('/control', ...Array(2500).fill('a:'), 'Authorization: Bearer x'), 431],
  ['A5 101 fields', get('/control', ...Array(100).fill('a:')), 431],
  ['A35 absolute form of a foreign host', get('http://evil/control'), 421],
  ['P4 a gzip transfer coding', get('/control', 'Transfer-Encoding: gzip, chunked').replace('GET', 'POST'), 501],
  ['P9 HTTP/0.9', 'GET /control\r\n\r\n', 505],
  ['P11 no Host', 'GET /control HTTP/1.0\r\n\r\n', 400],
  ['P11 two Hosts', get('/control', 'Host: localhost'), 400],
  ['A27 an unknown method', get('/control').replace('GET', 'get'), 400],
]
test('the control plane refuses what could be read in two ways', async (t) => {
  const { port, calls } = await startControl(t)
  for (const [title, bytes, status] of REFUSED) {
    await t.test(`${title} is ${status} with the connection closed`, async (t) => {
      // Without the client's own wish to close, only Hive can be the one that does.
      const answer = parseAnswer(await exchangeRaw(t, port, bytes.replace('Connection: close\r\n', '')))
      assert.equal(answer.status, status, answer.head)
      assert.match(JSON.parse(answer.body).code, /^HIVE_/)
      assert.equal(calls(), 0)
    })
  }
})

test('A35 absolute form of an own host is served', async (t) => {
  const { port } = await startControl(t)
  const text = get('http://localhost:1/control?x').replace('Host: localhost', 'Host: evil')
  assert.equal(parseAnswer(await exchangeRaw(t, port, text)).status, 200)
})

test('A12 a body without an end is 408', async (t) => {
  const { port, calls } = await startControl(t, 50)
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write(
    'POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  )
  const answer = parseAnswer(await all)
  assert.equal(answer.status, 408)
  assert.equal(JSON.parse(answer.body).code, 'HIVE_REQUEST_TIMEOUT')
  assert.equal(calls(), 0)
})

test('A12 a body without an end behind an early answer ends the connection at its limit', async (t) => {
  const { port } = await startControl(t, 50)
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write('POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{')
  const { status, head } = parseAnswer(await within(all, 10_000, 'the end'))
  assert.equal(status, 404)
  assert.match(head, /keep-alive/i)
})
