import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Descriptors, type DescriptorUse } from '../../src/http/descriptors.ts'
import { openControl } from '../support/control.ts'
import { until, within } from '../support/deadline.ts'
import { startEcho } from '../support/fixtures/proxy-echo.ts'
import { startProxyApp } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawConnect, readAll, readUntil } from '../support/raw-http.ts'

suite('connections', () => {
  test('F48: late heads get 408 within a second of their limit, and new clients are served meanwhile', async (t) => {
    const { app, port } = await openControl(t)
    app.server.headersTimeout = 1_500
    const openings = ['', 'G', 'GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow', 'POST /spawn HTTP/1.1\r\n']
    const slow = await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const socket = await rawConnect(t, port)
        const all = readAll(socket)
        socket.write(openings[at % openings.length] ?? '')
        return all
      }),
    )
    const idle = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = await rawConnect(t, port)
        socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
        await readUntil(socket, (text) => text.includes('alive'))
        return socket
      }),
    )
    assert.equal(parseAnswer(await exchangeRaw(t, port, get('/livez'))).status, 200)
    for (const text of await within(Promise.all(slow), 20_000, 'the end of the slow ones'))
      assert.match(text, /^HTTP\/1.1 408 [\s\S]*HIVE_REQUEST_TIMEOUT/)
    assert.ok(
      idle.every((socket) => !socket.destroyed),
      'those that wait between requests may',
    )
    assert.equal(parseAnswer(await exchangeRaw(t, port, get('/livez'))).status, 200)
  })

  test('F51: without room a connection is answered 503 unread, an open one works on, and room comes back', async (t) => {
    let use: DescriptorUse = { open: 10, limit: 1_000 }
    const clock = { ms: 0 }
    const descriptors = new Descriptors({ read: () => use, now: () => (clock.ms += 100) })
    const { routes, port } = await startProxyApp(t, { descriptors })
    const { port: backend, seen } = await startEcho(t)
    routes.open('demo', backend)
    const open = await rawConnect(t, port)
    open.write('GET /control HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await readUntil(open, (text) => text.includes('"plane"'))

    use = { open: 800, limit: 1_000 }
    await until(() => !descriptors.admitsWork(), 5_000, 'the new count')
    const refused = parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/')))
    assert.deepEqual([refused.status, JSON.parse(refused.body).code], [503, 'HIVE_OVERLOADED'])
    assert.match(refused.head, /\r\nRetry-After: 1/)
    assert.equal(
      parseAnswer(await exchangeRaw(t, port, get('/control'))).status,
      200,
      'the control plane has its share',
    )

    use = { open: 900, limit: 1_000 }
    await until(() => !descriptors.admitsConnection(), 5_000, 'the new count')
    for (const bytes of [
      get('/control'),
      '',
      'POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{',
    ]) {
      const { status, head, body } = parseAnswer(await exchangeRaw(t, port, bytes))
      assert.deepEqual([status, JSON.parse(body).code], [503, 'HIVE_OVERLOADED'])
      assert.match(head, /\r\nRetry-After: 1\r\nConnection: close$/)
    }
    open.write('GET /control HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await readUntil(open, (text) => text.includes('"plane"'))

    use = { open: 10, limit: 1_000 }
    await until(() => descriptors.admitsWork(), 5_000, 'the new count')
    assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/'))).status, 200)
    assert.equal(seen.length, 1)
  })
})
