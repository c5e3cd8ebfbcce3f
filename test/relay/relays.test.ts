import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { openRelay } from '../../src/relay/relay.ts'
import { Relays } from '../../src/relay/relays.ts'
import { openServiceTable, type ServiceTable } from '../../src/services/table/table.ts'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { tempDirectory } from '../support/temp-directory.ts'

/** All of 127.0.0.0/8 is this machine: one address plays the gateway, others the containers. */
const WAY = { type: 'gateway', address: '127.0.0.2', subnets: ['127.0.1.0/24'] } as const
const INSIDE = '127.0.1.7'
const OUTSIDE = '127.0.2.7'

describe('a relay', () => {
  test('passes bytes both ways with backpressure, and each half-close', async (t) => {
    const target = await openTarget(t, (socket) => socket.pipe(socket))
    const relay = await openRelay({ listen: { host: '127.0.0.1', port: 0 }, target, accepts: () => true })
    t.after(() => relay.close())
    const socket = connect({ port: relay.port, host: '127.0.0.1', allowHalfOpen: true })
    const sent = randomBytes(20 * 1024 * 1024)
    socket.end(sent)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    assert.ok(Buffer.concat(chunks).equals(sent))
  })

  test('ends a connection whose target refuses or breaks, and survives both', async (t) => {
    const nowhere = { host: '127.0.0.1', port: await freePort() }
    const relay = await openRelay({ listen: { host: '127.0.0.1', port: 0 }, target: nowhere, accepts: () => true })
    t.after(() => relay.close())
    const refused = [1, 2, 3].map(async () => {
      const socket = connect(relay.port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'close')
    })
    await Promise.all(refused)
    const target = await openTarget(t, (socket) => socket.resetAndDestroy())
    const second = await openRelay({ listen: { host: '127.0.0.1', port: 0 }, target, accepts: () => true })
    t.after(() => second.close())
    const socket = connect(second.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'close')
  })

  test('holds a connection while its target moves, and passes on what was sent meanwhile', async (t) => {
    const dead = { host: '127.0.0.1', port: await freePort() }
    const living = await openTarget(t, (socket) => socket.pipe(socket))
    const places = [dead, null, dead, living]
    const target = () => (places.length > 1 ? (places.shift() ?? null) : living)
    const relay = await openRelay({ listen: { host: '127.0.0.1', port: 0 }, target, accepts: () => true })
    t.after(() => relay.close())
    const socket = connect({ port: relay.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.end('hello')
    let heard = ''
    for await (const chunk of socket) heard += String(chunk)
    assert.equal(heard, 'hello')
  })

  test('close ends what is held, too', async (t) => {
    const asked = Promise.withResolvers<void>()
    const target = () => {
      asked.resolve()
      return null
    }
    const relay = await openRelay({ listen: { host: '127.0.0.1', port: 0 }, target, accepts: () => true })
    const socket = connect(relay.port, '127.0.0.1')
    socket.on('error', () => undefined)
    t.after(() => socket.destroy())
    await asked.promise
    const ended = once(socket.resume(), 'end')
    await relay.close()
    await within(ended, 5_000, 'the end of the connection')
  })

  test('close takes its connections with it, on both sides', async (t) => {
    const inside: Socket[] = []
    const target = await openTarget(t, (socket) => inside.push(socket))
    const relay = await openRelay({ listen: { host: '127.0.0.1', port: 0 }, target, accepts: () => true })
    const socket = connect(relay.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await until(() => inside.length === 1, 5_000, 'the connection')
    const ended = [socket, inside[0] ?? assert.fail()].map((end) => once(end.resume(), 'end'))
    await relay.close()
    await within(Promise.all(ended), 5_000, 'the end of both')
  })
})

describe('relays', () => {
  test('issue 5.4: let in who comes from the engine subnet to the gateway address, and nobody else', async (t) => {
    const { relays } = await openRelays(t)
    const target = await openTarget(t, (socket) => socket.end('hello'))
    const { host, port } = await relays.reach(WAY, target)
    assert.equal(host, WAY.address)
    assert.equal(await hear(INSIDE, { host, port }), 'hello')
    assert.equal(await hear(OUTSIDE, { host, port }), '')
  })

  test('issue 5.4: open one relay per way and target, also when asked at once', async (t) => {
    const { relays, table } = await openRelays(t)
    const target = await openTarget(t, (socket) => socket.end('hello'))
    const ports = (await Promise.all([1, 2, 3].map(() => relays.reach(WAY, target)))).map(({ port }) => port)
    assert.equal(new Set(ports).size, 1)
    const other = await relays.reach(WAY, { host: 'localhost', port: target.port })
    assert.notEqual(other.port, ports[0])
    assert.equal((await table.documents('relays')).size, 2)
  })

  test('issue 5.4: keep their port over a restart, and give up what is not wanted any more', async (t) => {
    const { relays, table } = await openRelays(t)
    const target = await openTarget(t, (socket) => socket.end('hello'))
    const before = await relays.reach(WAY, target)
    const unwanted = await relays.reach(WAY, { host: '127.0.0.1', port: 1 })
    await relays.close()
    const next = new Relays(table, pino({ level: 'silent' }))
    t.after(() => next.close())
    await next.restore(({ port }) => port === target.port)
    assert.equal(await hear(INSIDE, before), 'hello', 'open before anybody asks')
    assert.deepEqual(await next.reach(WAY, target), before)
    await assert.rejects(hear(INSIDE, unwanted), { code: 'ECONNREFUSED' })
    assert.equal((await table.documents('relays')).size, 1)
  })

  test('issue 5.4: take another port when theirs is taken, and wait on all addresses for one that is not there yet', async (t) => {
    const { relays, table } = await openRelays(t)
    const target = await openTarget(t, (socket) => socket.end('hello'))
    const before = await relays.reach(WAY, target)
    await relays.close()
    const squatter = createServer().listen(before.port, WAY.address)
    t.after(() => squatter.close())
    await once(squatter, 'listening')
    const next = new Relays(table, pino({ level: 'silent' }))
    t.after(() => next.close())
    await next.restore(() => true)
    const after = await next.reach(WAY, target)
    assert.notEqual(after.port, before.port)
    assert.equal(await hear(INSIDE, after), 'hello')
    // 198.51.100.0/24 is nobody's (RFC 5737).
    const absent = { type: 'gateway', address: '198.51.100.1', subnets: ['127.0.1.0/24'] } as const
    const waiting = await next.reach(absent, target)
    assert.equal(await hear(INSIDE, { host: '127.0.0.1', port: waiting.port }), '', 'not at the gateway address')
  })
})

async function openRelays(t: TestContext): Promise<{ readonly relays: Relays; readonly table: ServiceTable }> {
  const table = await openServiceTable(await tempDirectory(t))
  const relays = new Relays(table, pino({ level: 'silent' }))
  t.after(async () => {
    await relays.close()
    await table.close()
  })
  return { relays, table }
}

async function openTarget(t: TestContext, onConnection: (socket: Socket) => unknown) {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('error', () => socket.destroy())
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

/** All that is said to a connection from this address. */
async function hear(localAddress: string, to: { readonly host: string; readonly port: number }): Promise<string> {
  const socket = connect({ ...to, localAddress })
  let text = ''
  socket.on('data', (chunk) => (text += chunk))
  const broken = Promise.withResolvers<never>()
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET') broken.reject(error)
  })
  await Promise.race([once(socket, 'close'), broken.promise]).finally(() => socket.destroy())
  return text
}
