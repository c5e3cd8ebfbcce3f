import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { endianness } from 'node:os'
import { describe, it, type TestContext } from 'node:test'
import {
  heardAtAddress,
  heardAtBinding,
  heardInside,
  hostProcess,
  isLoopback,
} from '../../src/runners/container/listens.ts'
import { bindingOf } from '../support/container-bench.ts'
import { freePort } from '../support/free-port.ts'

const signal = AbortSignal.timeout(20_000)

async function listenOn(t: TestContext, host: string, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onSocket(socket)
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as { port: number }).port
}

describe('whether a cocoon listens', () => {
  it('F40: a publishing proxy that accepts and closes does not count, one that stays open does', async (t) => {
    const closing = await listenOn(t, '127.0.0.1', (socket) => socket.destroy())
    const staying = await listenOn(t, '127.0.0.1', () => {})
    assert.equal(await heardAtBinding(bindingOf(closing), signal), 'no')
    assert.equal(await heardAtBinding(bindingOf(staying), signal), 'yes')
    assert.equal(await heardAtBinding(bindingOf(await freePort()), signal), 'no')
  })

  it('the container’s own address says yes or no', async (t) => {
    const port = await listenOn(t, '127.0.0.1', () => {})
    assert.equal(await heardAtAddress(['127.0.0.1'], port, signal), 'yes')
    assert.equal(await heardAtAddress(['127.0.0.1'], await freePort(), signal), 'no')
    assert.equal(await heardAtAddress([], port, signal), 'unknown')
  })

  it('the tables of a process tell open from loopback-only from closed', {
    skip: process.platform === 'linux' ? false : 'there is no /proc',
  }, async (t) => {
    const own = await hostProcess(process.pid)
    assert.ok(own)
    const everywhere = await listenOn(t, '0.0.0.0', () => {})
    const loopback = await listenOn(t, '127.0.0.1', () => {})
    assert.equal(await heardInside(own, everywhere), 'yes')
    assert.equal(await heardInside(own, loopback), 'loopback-only')
    assert.equal(await heardInside(own, await freePort()), 'no')
  })

  it('F22: a process id that somebody else has by now tells nothing', {
    skip: process.platform === 'linux' ? false : 'there is no /proc',
  }, async (t) => {
    const own = await hostProcess(process.pid)
    assert.ok(own)
    const port = await listenOn(t, '0.0.0.0', () => {})
    assert.equal(await heardInside({ ...own, startTime: '1' }, port), 'unknown')
    assert.equal(await hostProcess(2 ** 30), null)
  })

  it('loopback is told from addresses that only look like it', {
    skip: endianness() === 'LE' ? false : 'the table is of a little-endian machine',
  }, () => {
    const mapped = '0000000000000000FFFF0000'
    for (const address of ['0100007F', `${mapped}0100007F`, `${'0'.repeat(24)}01000000`])
      assert.equal(isLoopback(address), true, address)
    // 0.0.0.0, 172.17.0.127, ::, ::ffff:172.17.0.2
    for (const address of ['00000000', '7F0011AC', '0'.repeat(32), `${mapped}020011AC`])
      assert.equal(isLoopback(address), false, address)
  })
})
