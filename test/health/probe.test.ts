import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { type CheckTarget, HealthChecker, type Probe } from '../../src/health/checker.ts'
import { runProbe } from '../../src/health/probe.ts'
import type { HealthCheck } from '../../src/kinds/kind.ts'
import { RunnerUnreachable } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'

const CHECK: HealthCheck = {
  type: 'http',
  path: '/health',
  port: null,
  command: [],
  intervalMs: 20,
  timeoutMs: 300,
  retries: 3,
  startPeriodMs: 0,
}

interface Hostile {
  readonly target: CheckTarget
  /** Connections that are open now, and all there ever were. */
  readonly open: Set<Socket>
  count: number
  bytes: number
}

/** A server that treats each connection as it likes. */
async function hostile(t: TestContext, treat: (socket: Socket, hostile: Hostile) => void): Promise<Hostile> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    self.count++
    open.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => open.delete(socket))
    socket.once('data', () => treat(socket, self))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const target: CheckTarget = {
    addressOf: () => ({ host: '127.0.0.1', port }),
    listens: async () => true,
    exec: null,
  }
  const self: Hostile = { target, open, count: 0, bytes: 0 }
  return self
}

const head = (status: string, more = '') => `HTTP/1.1 ${status}\r\n${more}\r\n`
const never = () => new AbortController().signal

describe('http probes against servers that mean harm', () => {
  it('F55: a server that says nothing fails with the timeout, and its connection is let go', async (t) => {
    const { target, open } = await hostile(t, () => undefined)
    assert.deepEqual(await runProbe(CHECK, target, never()), { ok: false, detail: 'no answer within 300 ms' })
    await until(() => open.size === 0, 5_000, 'closing')
  })

  it('F55: a head that drips one byte at a time fails with the timeout', async (t) => {
    const { target, open } = await hostile(t, (socket) => {
      const timer = setInterval(() => socket.write('H'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    assert.equal((await runProbe(CHECK, target, never())).ok, false)
    await until(() => open.size === 0, 5_000, 'closing')
  })

  it('F55: a body that never ends is cut after 4 KB, and is healthy', async (t) => {
    const { target, open } = await hostile(t, (socket, self) => {
      socket.write(head('200 OK'))
      const pour = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(16_384))) self.bytes += 16_384
      }
      socket.on('drain', pour)
      pour()
    })
    assert.equal((await runProbe(CHECK, target, never())).ok, true)
    await until(() => open.size === 0, 5_000, 'closing')
  })

  it('F55: a body that drips is not waited for', async (t) => {
    const { target, open } = await hostile(t, (socket) => {
      socket.write(head('200 OK', 'content-length: 1000\r\n'))
      const timer = setInterval(() => socket.write('x'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    assert.equal((await runProbe(CHECK, target, never())).ok, true)
    await until(() => open.size === 0, 5_000, 'closing')
  })

  it('F55: a probe whose body drips is over before the next one begins', async (t) => {
    const met: number[] = []
    const { target, open } = await hostile(t, (socket, self) => {
      met.push(self.open.size)
      socket.write(head('200 OK', 'content-length: 1000\r\n'))
      const timer = setInterval(() => socket.write('x'), 20)
      socket.on('close', () => clearInterval(timer))
    })
    for (let probes = 0; probes < 3; probes++) {
      assert.equal((await runProbe({ ...CHECK, timeoutMs: 5_000 }, target, never())).ok, true)
      await until(() => open.size === 0, 1_000, 'closing')
    }
    assert.deepEqual(met, [1, 1, 1])
  })

  it('F55: a redirect is a failure and is not followed', async (t) => {
    const there = await hostile(t, (socket) => socket.end(head('200 OK', 'content-length: 0\r\n')))
    const { port } = there.target.addressOf(null) ?? assert.fail()
    const here = await hostile(t, (socket) =>
      socket.end(head('302 Found', `location: http://127.0.0.1:${port}/\r\ncontent-length: 0\r\n`)),
    )
    assert.deepEqual(await runProbe(CHECK, here.target, never()), {
      ok: false,
      detail: '/health answered 302, which is not followed',
    })
    assert.equal(there.count, 0)
  })

  it('F55: a reset, a refusal, nonsense and a huge head are failures with their reason', async (t) => {
    const reset = await hostile(t, (socket) => socket.resetAndDestroy())
    const nonsense = await hostile(t, (socket) => socket.end('SSH-2.0-x\r\n\r\n'))
    const huge = await hostile(t, (socket) => socket.write(head('200 OK', `x: ${'y'.repeat(100_000)}\r\n`)))
    for (const { target } of [reset, nonsense, huge]) {
      const { ok, detail } = await runProbe(CHECK, target, never())
      assert.equal(ok, false)
      assert.match(detail, /^[A-Z_]+$|HTTP\/1\.1|no answer/)
    }
    const gone = { ...reset.target, addressOf: () => ({ host: '127.0.0.1', port: 1 }) }
    assert.deepEqual(await runProbe(CHECK, gone, never()), { ok: false, detail: 'ECONNREFUSED' })
  })

  it('says what is missing: a port, a way to run commands', async (t) => {
    const { target } = await hostile(t, () => undefined)
    const none = { ...target, addressOf: () => null }
    assert.match((await runProbe(CHECK, none, never())).detail, /no port/)
    assert.match((await runProbe({ ...CHECK, type: 'cmd', command: ['x'] }, target, never())).detail, /cannot run/)
  })

  it('a command that hangs fails with the timeout', async (t) => {
    const { target } = await hostile(t, () => undefined)
    const exec: CheckTarget['exec'] = (_command, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const result = await runProbe({ ...CHECK, type: 'cmd', command: ['x'] }, { ...target, exec }, never())
    assert.deepEqual(result, { ok: false, detail: 'no answer within 300 ms' })
  })
})

describe('what probes amount to', () => {
  /** Checks whose answers a test gives; `run` ends with the test. */
  function checker(
    t: TestContext,
    checks: readonly Partial<HealthCheck>[],
    answer: (check: number) => boolean | Error,
  ) {
    const over = new AbortController()
    const said: string[] = []
    const probes: Probe[] = []
    const flying = new Map<number, number>()
    let most = 0
    const all = checks.map((check, n) => ({ ...CHECK, type: 'cmd' as const, command: [String(n)], ...check }))
    const exec: CheckTarget['exec'] = async ([n = '0']) => {
      const check = Number(n)
      flying.set(check, (flying.get(check) ?? 0) + 1)
      most = Math.max(most, flying.get(check) ?? 0)
      await new Promise((resolve) => setTimeout(resolve, 5))
      flying.set(check, (flying.get(check) ?? 0) - 1)
      const found = answer(check)
      if (found instanceof Error) throw found
      return { code: found ? 0 : 1 }
    }
    const running = new HealthChecker({
      checks: all,
      target: { addressOf: () => null, listens: async () => false, exec },
      from: 'starting',
      startedAt: Date.now(),
      now: () => new Date(),
      onProbe: (probe) => probes.push(probe),
      isRunning: async () => true,
    }).run(over.signal, async (health) => {
      said.push(health)
    })
    t.after(async () => {
      over.abort()
      await running.catch(() => undefined)
    })
    return { said, probes, most: () => most }
  }

  it('all checks of a list must pass once', async (t) => {
    let second = false
    const { said, probes } = checker(t, [{}, {}], (check) => check === 0 || second)
    await until(() => probes.filter(({ check }) => check === 1).length > 3, 5_000, 'probing')
    assert.deepEqual(said, [])
    second = true
    await until(() => said.length > 0, 5_000, 'passing')
    assert.deepEqual(said, ['passing'])
  })

  it('F55: three failures in a row make it failing, one pass heals, single misses and flapping do not count', async (t) => {
    let turn = 0
    let mode: 'up' | 'flap' | 'down' = 'up'
    const { said, probes, most } = checker(t, [{}], () => mode === 'up' || (mode === 'flap' && turn++ % 3 === 0))
    await until(() => said.length === 1, 5_000, 'passing')
    mode = 'flap'
    const before = probes.length
    await until(() => probes.length > before + 12, 5_000, 'flapping')
    assert.deepEqual(said, ['passing'])
    mode = 'down'
    await until(() => said.length === 2, 5_000, 'failing')
    const streak = probes.slice(-3).map(({ ok }) => ok)
    assert.deepEqual(streak, [false, false, false])
    mode = 'up'
    await until(() => said.length === 3, 5_000, 'healing')
    assert.deepEqual(said, ['passing', 'failing', 'passing'])
    assert.equal(most(), 1, 'one probe in flight')
  })

  it('F56: what the runner did not get to does not count, either way', async (t) => {
    const { said, probes } = checker(t, [{}], () => probes.length === 0 || new RunnerUnreachable('the engine hangs'))
    await until(() => probes.length > 10, 5_000, 'probing')
    assert.deepEqual(said, ['passing'])
    assert.deepEqual([probes[5]?.ok, probes[5]?.detail], [false, 'the engine hangs'])
  })

  it('failures within the start period do not count', async (t) => {
    let up = true
    const { said, probes } = checker(t, [{ startPeriodMs: 60_000, retries: 1 }], () => up)
    await until(() => said.length === 1, 5_000, 'passing')
    up = false
    const before = probes.length
    await until(() => probes.length > before + 5, 5_000, 'probing on')
    assert.deepEqual(said, ['passing'])
  })
})
