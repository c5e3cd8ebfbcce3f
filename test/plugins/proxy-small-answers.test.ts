import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { startProxyApp } from '../support/proxy-app.ts'
import { cannedBackend, rawBackend, rawConnect, readUntil } from '../support/raw-http.ts'

/** A small body that comes with its head goes out with it in one write; these are the ways in which it may come else. */

const GET = 'GET /cocoons/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n'

async function proxied(t: TestContext, serve: (socket: Socket) => void): Promise<Socket> {
  const { routes, port } = await startProxyApp(t)
  const backend = await rawBackend(t, (socket) => socket.on('data', () => serve(socket)))
  routes.open('demo', backend.port)
  return rawConnect(t, port)
}

const bodyOf = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4)

for (const [how, fields, framed] of [
  ['a length', 'Content-Length: 256', (body: string) => body],
  ['chunks', 'Transfer-Encoding: chunked', (body: string) => `100\r\n${body}\r\n0\r\n\r\n`],
] as const) {
  test(`every byte of a small answer with ${how} passes as it is, beside a field beyond ASCII`, async (t) => {
    const body = Buffer.from(Uint8Array.from({ length: 256 }, (_, at) => at)).toString('latin1')
    const answer = `HTTP/1.1 200 OK\r\n${fields}\r\nX-Name: caf\xe9\r\n\r\n${framed(body)}`
    const client = await proxied(t, (socket) => socket.write(answer, 'latin1'))
    for (let round = 0; round < 2; round += 1) {
      client.write(GET)
      const text = await readUntil(client, (seen) => bodyOf(seen).endsWith(framed(body)))
      assert.match(text, /\r\nX-Name: caf\xe9\r\n/)
      assert.equal(bodyOf(text), framed(body))
    }
  })
}

test('a small piece that came with its head does not wait for the next one', async (t) => {
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  const client = await proxied(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')
    void goOn.then(() => socket.write('def'))
  })
  client.write(GET)
  await readUntil(client, (text) => text.endsWith('\r\n\r\nabc'))
  const rest = readUntil(client, (text) => text.endsWith('def'))
  resolve()
  await rest
})

test('a small piece and large ones after it keep their order', async (t) => {
  const pieces = ['a'.repeat(10), 'b'.repeat(100_000), 'c'.repeat(10)]
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
  const { routes, port } = await startProxyApp(t)
  const backend = await cannedBackend(t, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`)
  routes.open('demo', backend.port)
  const answer = await fetch(`http://127.0.0.1:${port}/cocoons/demo/`)
  assert.equal(await answer.text(), pieces.join(''))
})
