import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { openControl } from '../support/control.ts'
import { until, within } from '../support/deadline.ts'
import { rawConnect, readAll } from '../support/raw-http.ts'

suite('waiting answers', () => {
  test('a client that goes away ends its wait: nothing listens on', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'watched' })
    const { services } = hive.app
    let listening = 0
    const onChange = services.onChange.bind(services)
    t.mock.method(services, 'onChange', (listener: Parameters<typeof onChange>[0]) => {
      listening++
      const off = onChange(listener)
      return () => {
        listening--
        off()
      }
    })
    const sockets = await Promise.all(Array.from({ length: 50 }, () => rawConnect(t, hive.port)))
    for (const socket of sockets)
      socket.write(`GET /services/watched?wait=gone HTTP/1.1\r\nHost: localhost\r\n${hive.bearer}\r\n\r\n`)
    await until(() => listening === 50, 5_000, 'all wait')
    for (const socket of sockets) socket.resetAndDestroy()
    await until(() => listening === 0, 5_000, 'none waits')
    assert.equal((await hive.call('GET', '/services/watched')).status, 200)
  })

  test('many waits for one service are all answered by one change', async (t) => {
    const hive = await openControl(t)
    const release = hive.runner.hold('start')
    await hive.call('POST', '/spawn', { kind: 'fake', name: 'awaited' })
    const waits = Array.from({ length: 100 }, () => hive.call('GET', '/services/awaited?wait=ready'))
    release()
    for (const { body } of await within(Promise.all(waits), 10_000, 'the answers')) assert.equal(body.ready, true)
  })

  test('closing answers the waits and refuses what still comes over open connections', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'left' })
    const wait = hive.call('GET', '/services/left?wait=gone')
    const socket = await rawConnect(t, hive.port)
    const all = readAll(socket)
    socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n')
    await until(() => hive.app.server.listening, 1_000, 'listening')
    // Begun before the listener closes, finished after it: such a connection is not idle.
    await hive.call('GET', '/livez')
    hive.app.beginClosing()
    const closed = hive.close()
    socket.write('\r\n')
    const text = await within(all, 10_000, 'the late answer')
    assert.match(text, /^HTTP\/1\.1 503 /)
    assert.match(text, /\r\nconnection: close\r\n/i)
    assert.match(text, /HIVE_SHUTTING_DOWN/)
    assert.match(text, /\r\nretry-after: \d+\r\n/i)
    const { status } = await wait
    assert.ok(status === 200 || status === 503, String(status))
    await within(closed, 10_000, 'closing')
  })
})
