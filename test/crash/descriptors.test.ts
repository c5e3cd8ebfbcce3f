import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'
import { rawConnect, readUntil } from '../support/raw-http.ts'

const ECHO = new URL('../support/fixtures/echo-worker.mjs', import.meta.url).pathname
const UPGRADE = [
  'GET /cocoons/echo/ HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n')
/** A masked text frame "hi", and its echo. */
const PING = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])
const LIMIT = 192

const headOf = (socket: Socket) => readUntil(socket, (text) => text.includes('\r\n\r\n'))

describe('Hive runs out of file descriptors', () => {
  it('F49 F51: tunnels and connections beyond them get 503, open ones and launches go on, and it recovers', async (t) => {
    const script = { command: process.execPath, args: [ECHO], port: 8080 }
    const world = await worldOf(t, { kinds: [{ id: 'echo', runner_type: 'script', runner_config: script }] })
    const hive = await world.start({ wrapper: ['prlimit', `--nofile=${LIMIT}`], execs: true })
    const client = world.client(hive)
    assert.equal((await client.create('echo', 'echo'))?.status, 201)

    const tunnels: Socket[] = []
    for (let refused = 0; refused < 5; ) {
      const socket = await rawConnect(t, hive.port)
      socket.write(UPGRADE)
      const head = await headOf(socket)
      if (head.startsWith('HTTP/1.1 101')) tunnels.push(socket)
      else {
        refused += 1
        assert.match(head, /^HTTP\/1.1 503 [\s\S]*Retry-After: 1\r\n/)
      }
    }
    assert.ok(tunnels.length >= 20, `${tunnels.length} tunnels`)
    assert.equal((await client.create('script', 'launched'))?.status, 201)

    const silent = await Promise.all(Array.from({ length: LIMIT }, () => rawConnect(t, hive.port)))
    // Of many at once only some are told why; the others are closed.
    const refusal = async () => headOf(await rawConnect(t, hive.port))
    assert.match(await until(refusal, 10_000, 'a refusal in words'), /^HTTP\/1.1 503 /)
    assert.ok(readdirSync(`/proc/${hive.pid}/fd`).length < LIMIT, 'some are kept back')
    for (const tunnel of tunnels) {
      tunnel.write(PING)
      assert.ok((await readUntil(tunnel, (text) => text.endsWith('hi'))).startsWith('\x81\x02'))
    }

    for (const socket of [...silent, ...tunnels]) socket.resetAndDestroy()
    await until(async () => (await client.visit('echo', 'again'))?.status === 200, 10_000, 'the recovery')
    assert.equal((await client.remove('launched'))?.status, 200)
    assert.deepEqual(await hive.end('SIGTERM'), { code: 0, signal: null })
  })
})
