import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { until } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'

const WORKER = join(import.meta.dirname, '..', '..', 'examples', 'worker', 'worker.mjs')

test('the example worker names its cocoon, escaped, with relative links only', async (t) => {
  const { url } = await startWorker(t, { COCOON_NAME: 'web-<1>', COCOON_KIND: 'native', COCOON_SECRET: 'planted' })
  const body = await (await fetch(url)).text()
  assert.match(body, /<h1>web-&#60;1&#62;<\/h1>/)
  assert.match(body, /kind native/)
  assert.doesNotMatch(body, /planted/)
  for (const [, link] of body.matchAll(/(?:href|src)="([^"]*)"/g)) assert.doesNotMatch(link ?? '', /^(\/|https?:)/)
})

test('the example worker echoes method, url, headers and body', async (t) => {
  const { url } = await startWorker(t)
  const answer = await fetch(`${url}echo?a=1`, { method: 'PUT', body: 'héllo', headers: { 'x-one': 'two' } })
  const { headers, ...rest } = (await answer.json()) as { headers: Record<string, string> }
  assert.deepEqual(rest, { method: 'PUT', url: '/echo?a=1', body: 'héllo', body_bytes: 6 })
  assert.equal(headers['x-one'], 'two')
})

test('the example worker streams one event after the other', async (t) => {
  const { url } = await startWorker(t)
  const answer = await fetch(`${url}sse`, { signal: AbortSignal.timeout(5_000), headers: { 'last-event-id': '6' } })
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  let text = ''
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (text.includes('id: 8')) break
  }
  assert.match(text, /^id: 7\nevent: tick\ndata: .+\n\nid: 8\n/)
})

test('the example worker answers 404 for other paths, own property names of Object among them', async (t) => {
  const { url } = await startWorker(t)
  assert.equal((await fetch(`${url}constructor`)).status, 404)
  assert.equal((await fetch(`${url}health`)).status, 200)
})

test('the example worker echoes text, binary, fragmented and large WebSocket messages and picks a subprotocol', async (t) => {
  const socket = await openSocket(t, ['first', 'second'])
  assert.equal(socket.protocol, 'first')
  const large = Buffer.alloc(300_000, 7)
  socket.send('héllo')
  socket.send(Buffer.from([1, 2, 3]))
  socket.send('frag', { fin: false })
  socket.ping('are you there')
  socket.send('ment', { fin: true })
  socket.send(large)
  const got: [string, boolean][] = []
  let pong = ''
  socket.on('pong', (payload) => {
    pong = payload.toString()
  })
  socket.on('message', (payload: Buffer, binary) => got.push([payload.toString('latin1'), binary]))
  await until(() => got.length === 4, 5_000, 'four echoes')
  assert.deepEqual(got, [
    [Buffer.from('héllo').toString('latin1'), false],
    ['\x01\x02\x03', true],
    ['fragment', false],
    [large.toString('latin1'), true],
  ])
  assert.equal(pong, 'are you there')
  socket.close(4_001)
  const [code] = await once(socket, 'close')
  assert.equal(code, 4_001)
})

test('the example worker closes a WebSocket that breaks the protocol', async (t) => {
  const { port } = await startWorker(t)
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  const upgrade = 'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  socket.write(`${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
  const unmasked = Buffer.from([0x81, 0x01, 0x61])
  socket.write(unmasked)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  assert.deepEqual([...Buffer.concat(chunks).subarray(-4)], [0x88, 0x02, 1002 >> 8, 1002 & 0xff])
})

test('the example worker ends with the code it is asked for', async (t) => {
  const { url, child } = await startWorker(t)
  const ended = once(child, 'exit')
  assert.equal((await fetch(`${url}exit?code=300`)).status, 400)
  assert.deepEqual(await (await fetch(`${url}exit?code=42`)).json(), { exiting_with: 42 })
  assert.deepEqual(await ended, [42, null])
})

test('the example worker ends by itself on TERM while a stream and a socket are open', async (t) => {
  const { url, port, child } = await startWorker(t)
  const stream = await fetch(`${url}sse`)
  t.after(() => stream.body?.cancel().catch(() => {}))
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`)
  socket.on('error', () => {})
  await once(socket, 'open')
  const ended = once(child, 'exit')
  const closed = once(socket, 'close')
  child.kill('SIGTERM')
  assert.equal((await closed)[0], 1001)
  assert.deepEqual(await ended, [0, null])
})

async function openSocket(t: TestContext, protocols: string[]): Promise<WebSocket> {
  const { port } = await startWorker(t)
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, protocols)
  t.after(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

async function startWorker(
  t: TestContext,
  env: Record<string, string> = {},
): Promise<{ url: string; port: number; child: ChildProcess }> {
  const port = await freePort()
  const child = spawn(process.execPath, [WORKER], {
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [line] = await once(child.stdout!, 'data', { signal: AbortSignal.timeout(10_000) })
  assert.match(String(line), /listens on/)
  child.stdout?.resume()
  return { url: `http://127.0.0.1:${port}/`, port, child }
}
