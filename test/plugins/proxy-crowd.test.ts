import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { type ProxyApp, startProxyApp } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawBackend, rawConnect, readUntil } from '../support/raw-http.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const SWITCH = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  '\r\n',
].join('\r\n')
const UPGRADE = [
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

/** What a cocoon does is what the path says. */
const ANSWERS: Readonly<Record<string, string>> = {
  ok: OK,
  half: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
  garbage: 'no HTTP at all\r\n\r\n',
  ws: SWITCH,
  'ws-wrong': SWITCH.replace('s3pP', 'xxxx'),
  'ws-404': 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno',
  'ws-half': 'HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nhalf',
}

async function startBackend(t: TestContext) {
  return rawBackend(t, (socket) => {
    socket.on('data', (bytes) => {
      const path = /^[A-Z]+ \/([a-z0-9-]*)/.exec(bytes.toString('latin1'))?.[1] ?? ''
      if (path === 'reset') socket.resetAndDestroy()
      else if (path !== 'hang') socket.write(ANSWERS[path] ?? '')
    })
  })
}

const upgrade = (path: string) => [`GET /cocoons/demo/${path} HTTP/1.1`, ...UPGRADE, '', ''].join('\r\n')
const ask = async (t: TestContext, { port }: ProxyApp, target: string) =>
  parseAnswer(await exchangeRaw(t, port, get(target)))

/** Sends and does not wait for an answer. */
async function begin(t: TestContext, { port }: ProxyApp, bytes: string) {
  const socket = await rawConnect(t, port)
  socket.write(bytes)
  return socket
}

function assertBusy({ status, head, body }: ReturnType<typeof parseAnswer>): void {
  assert.deepEqual([status, JSON.parse(body).code], [503, 'HIVE_COCOON_BUSY'])
  assert.match(head, /\r\nRetry-After: 1(?:\r\n|$)/)
}

suite('a flood on one cocoon', () => {
  test('F52: beyond its requests it is busy, other cocoons are not, and its place comes free', async (t) => {
    const app = await startProxyApp(t, { config: { maxCocoonRequests: 3 } })
    const backend = await startBackend(t)
    app.routes.open('demo', backend.port)
    app.routes.open('other', backend.port)
    const held = await Promise.all([1, 2, 3].map(() => begin(t, app, get('/cocoons/demo/hang'))))
    await until(() => backend.sockets.length === 3, 10_000, 'three requests under way')
    assertBusy(await ask(t, app, '/cocoons/demo/ok'))
    assert.equal((await ask(t, app, '/cocoons/other/ok')).status, 200)
    assert.equal(backend.sockets.length, 4, 'the refused one reached no cocoon')
    held[0]?.destroy()
    await until(async () => (await ask(t, app, '/cocoons/demo/ok')).status === 200, 10_000, 'a free place')
  })

  test('F52: beyond its tunnels it is busy, and a closed one makes room', async (t) => {
    const app = await startProxyApp(t, { config: { maxCocoonTunnels: 2 } })
    const backend = await startBackend(t)
    app.routes.open('demo', backend.port)
    app.routes.open('other', backend.port)
    const tunnels = await Promise.all([1, 2].map(() => begin(t, app, upgrade('ws'))))
    for (const tunnel of tunnels) await readUntil(tunnel, (text) => text.startsWith('HTTP/1.1 101'))
    assertBusy(parseAnswer(await exchangeRaw(t, app.port, upgrade('ws'))))
    assert.equal((await ask(t, app, '/cocoons/demo/ok')).status, 200, 'requests are counted apart')
    await readUntil(await begin(t, app, upgrade('ws').replace('demo', 'other')), (text) =>
      text.startsWith('HTTP/1.1 101'),
    )
    tunnels[0]?.resetAndDestroy()
    await until(
      async () => {
        const socket = await begin(t, app, upgrade('ws'))
        return (await readUntil(socket, (text) => text.includes('\r\n\r\n'))).startsWith('HTTP/1.1 101')
      },
      10_000,
      'room for one more',
    )
  })
})

suite('with one place, nothing that goes wrong keeps it', () => {
  const limits = { headersMs: 600, bodyIdleMs: 300, uploadIdleMs: 300, connectMs: 300, wakeMs: 300 }
  const until200 = (t: TestContext, app: ProxyApp) =>
    until(async () => (await ask(t, app, '/cocoons/demo/ok')).status === 200, 10_000, 'the free place')

  test('F52 I8: requests', async (t) => {
    const app = await startProxyApp(t, { config: { maxCocoonRequests: 1 }, limits })
    const backend = await startBackend(t)
    const route = app.routes.open('demo', backend.port)
    for (const path of ['ok', 'hang', 'half', 'garbage', 'reset']) {
      await exchangeRaw(t, app.port, get(`/cocoons/demo/${path}`))
      await until200(t, app)
      const client = await begin(t, app, get(`/cocoons/demo/${path}`))
      client.resetAndDestroy()
      await until200(t, app)
    }
    const upload = 'POST /cocoons/demo/hang HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf'
    assert.match(await exchangeRaw(t, app.port, upload), /^HTTP\/1.1 (?:408|504)/)
    await until200(t, app)
    ;(await begin(t, app, upload)).resetAndDestroy()
    await until200(t, app)
    app.routes.open('demo', await freePort())
    assert.equal((await ask(t, app, '/cocoons/demo/refused')).status, 502)
    app.routes.open('demo', backend.port)
    await until200(t, app)
    const hangs = begin(t, app, get('/cocoons/demo/hang'))
    await until(async () => (await ask(t, app, '/cocoons/demo/ok')).status === 503, 10_000, 'the one place taken')
    app.routes.close(route)
    await hangs
    await until200(t, app)
  })

  test('F52 I8: a request and an upgrade that were held for a cocoon that sleeps', async (t) => {
    const app = await startProxyApp(t, { config: { maxCocoonRequests: 1, maxCocoonTunnels: 1 }, limits })
    const backend = await startBackend(t)
    const wake = (signal: AbortSignal) => new Promise<void>((done) => signal.addEventListener('abort', () => done()))
    app.routes.set('demo', { answer: 'sleeping', retryAfterS: 1, allowOrigins: [], wake })
    for (const bytes of [get('/cocoons/demo/'), upgrade('ws')]) {
      const held = exchangeRaw(t, app.port, bytes)
      await until(async () => busy(await exchangeRaw(t, app.port, bytes)), 10_000, 'the one place taken')
      assert.match(await held, /^HTTP\/1.1 503[\s\S]*HIVE_COCOON_(?:NOT_READY|BUSY)/)
      ;(await begin(t, app, bytes)).resetAndDestroy()
      await until(async () => !busy(await exchangeRaw(t, app.port, bytes)), 10_000, 'the place')
    }
    app.routes.open('demo', backend.port)
    await until200(t, app)
  })

  test('F52 I8: upgrades', async (t) => {
    const app = await startProxyApp(t, { config: { maxCocoonTunnels: 1 }, limits })
    const backend = await startBackend(t)
    const route = app.routes.open('demo', backend.port)
    const opens = async () => {
      const socket = await begin(t, app, upgrade('ws'))
      const head = await readUntil(socket, (text) => text.includes('\r\n\r\n'))
      // A clean end would be half a close, which the cocoon may take its time to answer.
      socket.resetAndDestroy()
      return head.startsWith('HTTP/1.1 101')
    }
    for (const path of ['ws', 'ws-wrong', 'ws-404', 'ws-half', 'hang', 'garbage', 'reset']) {
      if (path !== 'ws') await exchangeRaw(t, app.port, upgrade(path))
      await until(opens, 10_000, `the place after ${path}`)
      ;(await begin(t, app, upgrade(path))).resetAndDestroy()
      await until(opens, 10_000, `the place after ${path} and a reset`)
    }
    const tunnel = await begin(t, app, upgrade('ws'))
    await readUntil(tunnel, (text) => text.startsWith('HTTP/1.1 101'))
    app.routes.close(route)
    await until(opens, 10_000, 'the place after the end of the attempt')
    tunnel.destroy()
  })
})

function busy(text: string): boolean {
  return text.includes('HIVE_COCOON_BUSY')
}
