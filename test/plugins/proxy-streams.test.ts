import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { until, within } from '../support/deadline.ts'
import { startProxyApp } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawBackend, rawConnect, readAll, readUntil } from '../support/raw-http.ts'

const MB = 1_048_576
const BIG = 512 * MB
const PIECE = Buffer.alloc(MB, 'x')
/** What a stream of 512 MB may add to the memory of this process, which holds client, Hive and backend together. */
const GROWTH_BYTES = 128 * MB

type Handler = (req: IncomingMessage, res: ServerResponse) => void

async function startBackend(t: TestContext, handler: Handler): Promise<number> {
  const server = createServer({ requestTimeout: 0 }, handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A stream of so many bytes that makes each piece only when it is asked for. */
function bytes(total: number): Readable {
  let left = total
  return new Readable({
    read() {
      const size = Math.min(left, PIECE.length)
      left -= size
      this.push(size === 0 ? null : PIECE.subarray(0, size))
    },
  })
}

/** A sink that counts bytes and remembers the largest memory of the process. */
function counter(): { sink: Writable; count: () => number; peak: () => number } {
  let count = 0
  let peak = 0
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      count += chunk.length
      peak = Math.max(peak, process.memoryUsage.rss())
      setImmediate(done)
    },
  })
  return { sink, count: () => count, peak: () => peak }
}

test('P35 F43 a download of 512 MB passes whole at flat memory', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await startBackend(t, (_req, res) => {
    res.setHeader('content-length', BIG)
    bytes(BIG).pipe(res)
  })
  routes.open('demo', backend)
  const before = process.memoryUsage.rss()
  const [answer] = (await once(http.get({ port, path: '/cocoons/demo/' }), 'response')) as [IncomingMessage]
  const { sink, count, peak } = counter()
  await pipeline(answer, sink)
  assert.equal(count(), BIG)
  assert.ok(peak() - before < GROWTH_BYTES, `grew by ${Math.round((peak() - before) / MB)} MB`)
})

test('P35 an upload of 512 MB without a length passes whole at flat memory', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const { sink, count, peak } = counter()
  const backend = await startBackend(t, (req, res) => {
    pipeline(req, sink).then(
      () => res.end('done'),
      () => res.destroy(),
    )
  })
  routes.open('demo', backend)
  const before = process.memoryUsage.rss()
  const request = http.request({ port, path: '/cocoons/demo/', method: 'PUT' })
  const answered = once(request, 'response')
  await pipeline(bytes(BIG), request)
  const [answer] = (await answered) as [IncomingMessage]
  answer.resume()
  assert.equal(answer.statusCode, 200)
  assert.equal(count(), BIG)
  assert.ok(peak() - before < GROWTH_BYTES, `grew by ${Math.round((peak() - before) / MB)} MB`)
})

test('F43 a client that stops reading pauses the cocoon', async (t) => {
  const { routes, port } = await startProxyApp(t)
  let sent = 0
  const backend = await startBackend(t, (_req, res) => {
    const source = bytes(BIG)
    source.on('data', (chunk: Buffer) => {
      sent += chunk.length
    })
    source.pipe(res)
  })
  routes.open('demo', backend)
  const socket = await rawConnect(t, port)
  socket.write('GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'readable')
  // Once nothing moves any more, what was taken is what buffers hold, far below what was offered.
  let last = -1
  await until(
    async () => {
      const still = sent === last && sent > 0
      last = sent
      await new Promise((resolve) => setTimeout(resolve, 200))
      return still
    },
    20_000,
    'the cocoon to be paused',
  )
  assert.ok(sent < 64 * MB, `${Math.round(sent / MB)} MB were taken`)
})

test('an event reaches the client while the answer is open', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const open: ServerResponse[] = []
  const backend = await startBackend(t, (_req, res) => {
    open.push(res)
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.flushHeaders()
  })
  routes.open('demo', backend)
  const socket = await rawConnect(t, port)
  socket.write('GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await readUntil(socket, (text) => text.includes('text/event-stream') && text.includes('\r\n\r\n'))
  for (const event of ['one', 'two']) {
    const seen = readUntil(socket, (text) => text.includes(`data: ${event}\n\n`))
    open[0]?.write(`data: ${event}\n\n`)
    await seen
  }
  socket.destroy()
  await until(() => open[0]?.destroyed, 5_000, 'the stream to be closed at the cocoon')
})

test('F41 a client that resets its upload is gone for the cocoon too', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await rawBackend(t, (socket) => socket.resume())
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  socket.write('POST /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc')
  await until(() => (backend.sockets[0]?.bytesRead ?? 0) > 0, 5_000, 'the request at the cocoon')
  socket.resetAndDestroy()
  await until(() => backend.sockets[0]?.readableEnded || backend.sockets[0]?.destroyed, 5_000, 'the abort')
})

for (const how of ['resetAndDestroy', 'destroy'] as const) {
  test(`F42 a client that goes away before the answer (${how}) is gone for the cocoon too`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const backend = await rawBackend(t, (socket) => socket.resume())
    routes.open('demo', backend.port)
    const socket = await rawConnect(t, port)
    socket.write('GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await until(() => (backend.sockets[0]?.bytesRead ?? 0) > 0, 5_000, 'the request at the cocoon')
    socket[how]()
    await until(() => backend.sockets[0]?.readableEnded || backend.sockets[0]?.destroyed, 5_000, 'the abort')
  })
}

test('F43 a client that goes away in the middle of a download is gone for the cocoon too', async (t) => {
  const { routes, port } = await startProxyApp(t)
  const answers: ServerResponse[] = []
  const backend = await startBackend(t, (_req, res) => {
    answers.push(res)
    bytes(BIG).pipe(res)
  })
  routes.open('demo', backend)
  const socket = await rawConnect(t, port)
  socket.write('GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'data')
  socket.destroy()
  await until(() => answers[0]?.destroyed, 5_000, 'the abort')
})

test('P35 an upload that falls silent is 408 and cancelled at the cocoon', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { uploadIdleMs: 50 } })
  const backend = await rawBackend(t, (socket) => socket.resume())
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write('POST /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabcde')
  assert.equal(parseAnswer(await all).status, 408)
  await until(() => backend.sockets[0]?.readableEnded || backend.sockets[0]?.destroyed, 5_000, 'the abort')
})

test('an upload the cocoon does not read is 504 at the idle limit, although the client goes on', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { bodyIdleMs: 100, headersMs: 20, lingerMs: 100 } })
  const backend = await rawBackend(t, (socket) => socket.pause())
  routes.open('demo', backend.port)
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write('POST /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n')
  bytes(BIG).pipe(socket)
  assert.equal(parseAnswer(await within(all, 10_000, 'the answer')).status, 504)
})

test('P35 an upload longer than the headers limit is not cut while it moves', async (t) => {
  const { routes, port } = await startProxyApp(t, { limits: { headersMs: 50, uploadIdleMs: 5_000 } })
  const backend = await startBackend(t, (req, res) => {
    req.resume().on('end', () => res.end('whole'))
  })
  routes.open('demo', backend)
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write('POST /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\n')
  for (let i = 0; i < 10; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.write('x')
  }
  assert.match(await all, /whole/)
})

test('F64 closing Hive ends a stream that would never end', async (t) => {
  const { app, routes, port } = await startProxyApp(t, { limits: { drainMs: 20 } })
  const backend = await startBackend(t, (_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.flushHeaders()
  })
  routes.open('demo', backend)
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write('GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'data')
  await within(app.close(), 5_000, 'close')
  assert.ok(!(await all).endsWith('0\r\n\r\n'))
})

test('F64 closing Hive ends what is held for a cocoon that sleeps', async (t) => {
  const { app, routes, port } = await startProxyApp(t)
  const wakes: AbortSignal[] = []
  const wake = (signal: AbortSignal) => {
    wakes.push(signal)
    return once(signal, 'abort').then(() => undefined)
  }
  routes.set('demo', { answer: 'sleeping', retryAfterS: 1, allowOrigins: [], wake })
  const request = get('/cocoons/demo/')
  const upgrade = request.replace('Connection: close', 'Connection: Upgrade\r\nUpgrade: chat')
  const held = [request, upgrade].map((bytes) => exchangeRaw(t, port, bytes))
  await until(() => wakes.length === 2, 5_000, 'both to be held')
  await within(app.close(), 5_000, 'close')
  for (const answer of await Promise.all(held)) assert.match(answer, /^HTTP\/1.1 503[\s\S]*HIVE_COCOON_NOT_READY/)
})
