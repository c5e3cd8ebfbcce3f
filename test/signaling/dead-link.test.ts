import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { TIMINGS } from '../../src/signaling/timings.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { openApp, openServer, openSignalingHive, QUICK, registered, resultOf, SECRET } from '../support/signaling.ts'

const KINDS = [{ id: 'fake', runner_type: 'script', runner_config: { command: 'true' } }]
const signalingTimings = { ...QUICK, pingMs: 150 }
const BIN = new URL('../../bin/hive.js', import.meta.url).pathname

test('issue 5.3: two rounds of pings are no longer than a minute', () => {
  assert.equal(TIMINGS.pingMs, 25_000)
  assert.ok(2 * TIMINGS.pingMs <= 60_000)
  assert.deepEqual([TIMINGS.confirmMs, TIMINGS.retryFirstMs, TIMINGS.retryMostMs], [10_000, 1_000, 60_000])
})

describe('F50: a half-open link', () => {
  test('issue 5.6: is found although no socket ever closes, and what was sent into it is sent again', async (t) => {
    const server = await openServer(t)
    const line = await openLine(t, server.port)
    const runner = new FakeRunner()
    const url = `ws://127.0.0.1:${line.port}/ws`
    const hive = await openSignalingHive(t, url, { kinds: KINDS, drivers: [runner.driver()], signalingTimings })
    await registered(hive)
    const release = runner.hold('start')
    const app = await openApp(t, server.url)
    app.send({ type: 'spawn_cocoon', request_id: 'r', kind: 'fake', setup_token: 'x', name: 'one' })
    await until(() => runner.calls.some((call) => call.startsWith('start')), 10_000, 'the launch')
    line.freeze()
    release()
    await until(() => hive.log().includes('it does not answer any more'), 15_000, 'the discovery')
    line.thaw()
    assert.equal((await app.next(resultOf('spawn_cocoon', 'r')))['success'], true)
    await until(() => hive.app.signaling?.status().unsent === 0, 10_000, 'the receipt')
    assert.equal(app.count(resultOf('spawn_cocoon', 'r')), 1, 'the server heard of it once')
  })

  test('issue 5.6: is found when packets are dropped in a network namespace', { skip: noNamespace() }, async (t) => {
    const net = openNamespace(t)
    const server = spawn(
      'ip',
      ['netns', 'exec', net.name, process.execPath, BIN, 'signaling-server', '--host', net.address, '--port', '8080'],
      { env: { PATH: process.env['PATH'], HIVE_SECRET: SECRET }, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    t.after(async () => {
      server.kill('SIGKILL')
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    })
    let said = ''
    server.stdout.on('data', (chunk) => (said += chunk))
    await until(() => said.includes('signaling server at'), 20_000, 'the server')
    const hive = await openSignalingHive(t, `ws://${net.address}:8080/ws`, { signalingTimings })
    await registered(hive)
    net.drop()
    await until(() => hive.log().includes('it does not answer any more'), 15_000, 'the discovery')
    net.pass()
    await registered(hive)
    await until(() => said.split('hive hive-1 registered').length === 3, 15_000, 'the second registration')
  })
})

/** A TCP relay that can fall silent without closing anything. */
async function openLine(t: TestContext, target: number) {
  const sockets = new Set<Socket>()
  let isFrozen = false
  const server = createServer((from) => {
    const to = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one)
      one.on('error', () => one.destroy())
      one.on('close', () => sockets.delete(one))
      // Not piped: what is read while frozen is swallowed, and an end is not passed on.
      one.on('data', (chunk) => {
        if (!isFrozen) other.write(chunk)
      })
      one.on('end', () => {
        if (!isFrozen) other.end()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    freeze: () => {
      isFrozen = true
    },
    /** Old connections stay dead, as after a lost NAT entry; new ones work. */
    thaw: () => {
      for (const socket of sockets) socket.removeAllListeners('data').resume()
      isFrozen = false
    },
  }
}

function noNamespace(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'takes root on Linux'
  try {
    execFileSync('ip', ['netns', 'list'], { stdio: 'ignore' })
    execFileSync('iptables', ['-V'], { stdio: 'ignore' })
    return false
  } catch {
    return 'takes ip and iptables'
  }
}

/** A network namespace with one address, joined to this one by a pair of devices; gone after the test. */
function openNamespace(t: TestContext) {
  const id = Math.floor(Math.random() * 0xffff)
  const name = `hive-test-${id}`
  const [outer, inner] = [`hvo${id}`, `hvi${id}`]
  const net = `198.18.${id >> 8}`
  const first = id & 0xff & ~3
  const ip = (...args: readonly string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const within = (...args: readonly string[]) => ip('netns', 'exec', name, ...args)
  ip('netns', 'add', name)
  t.after(() => ip('netns', 'delete', name))
  ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name)
  ip('address', 'add', `${net}.${first + 1}/30`, 'dev', outer)
  ip('link', 'set', outer, 'up')
  within('ip', 'address', 'add', `${net}.${first + 2}/30`, 'dev', inner)
  within('ip', 'link', 'set', inner, 'up')
  within('ip', 'link', 'set', 'lo', 'up')
  return {
    name,
    address: `${net}.${first + 2}`,
    drop: () => {
      for (const chain of ['INPUT', 'OUTPUT']) within('iptables', '-A', chain, '-j', 'DROP')
    },
    pass: () => within('iptables', '-F'),
  }
}
