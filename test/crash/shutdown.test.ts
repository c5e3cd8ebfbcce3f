import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { HiveEnded, type HiveProcess } from '../support/crash/hive-process.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { ALL } from '../support/crash/seed.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until, within } from '../support/deadline.ts'
import { rawConnect, readUntil } from '../support/raw-http.ts'

/** 10 s for Hive itself, and something for a machine that does other things, too. */
const LIMIT_MS = 14_000

async function running(t: TestContext): Promise<{ world: World; hive: HiveProcess }> {
  const world = await worldOf(t)
  const hive = await world.start()
  assert.equal((await world.client(hive).create('script', 'lives'))?.status, 201)
  return { world, hive }
}

/** True once nobody listens any more. */
async function refuses({ port }: HiveProcess): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('connect', () => resolve(false)).on('error', () => resolve(true))
  return promise.finally(() => socket.destroy())
}

describe('Hive is asked to end', () => {
  it('F64: no new connections, answers under way are finished, cocoons live on, exit 0', async (t) => {
    const { world, hive } = await running(t)
    const workers = workersOf(world.run)
    const slow = world.client(hive).visit('lives', 'slow?ms=1500', 10_000)
    const waits = world.client(hive).show('lives', '?wait=stopped&timeout_s=60')
    await until(() => hive.output() !== '', 1_000, 'anything')
    await delay(200) // both are under way
    hive.signal('SIGTERM')
    await until(() => refuses(hive), 5_000, 'the closing of the listener')
    const answer = await slow
    assert.deepEqual([answer?.status, answer?.body?.name], [200, 'lives'])
    assert.equal((await waits)?.status, 200)
    // Long before the time at which connections are cut: the client kept its own open.
    assert.deepEqual(await within(hive.ended, 5_000, 'the end'), { code: 0, signal: null })
    assert.deepEqual(workersOf(world.run), workers)
    await world.check(await world.start())
  })

  it('F64: an exchange without end is cut, and it is still an orderly end', async (t) => {
    const { world, hive } = await running(t)
    const endless = world.client(hive).visit('lives', 'slow?ms=600000', 30_000)
    await delay(200) // it is under way
    hive.signal('SIGTERM')
    assert.deepEqual(await within(hive.ended, LIMIT_MS, 'the end'), { code: 0, signal: null })
    const answer = await endless
    assert.notEqual(answer?.status, 200)
    await world.check(await world.start())
  })

  it('F64 W12: exit 0 at once, however many connections are silent, half used, stalled, held or streaming', async (t) => {
    const hive = await crowd(t)
    hive.signal('SIGTERM')
    // Exchanges that may still end are cut only later: nothing here waits for that.
    assert.deepEqual(await within(hive.ended, 7_000, 'the end'), { code: 0, signal: null })
  })

  it('F64: a second signal ends it at once', async (t) => {
    const { world, hive } = await running(t)
    void world.client(hive).visit('lives', 'slow?ms=600000', 30_000)
    await delay(200) // it is under way
    hive.signal('SIGTERM')
    await until(() => refuses(hive), 5_000, 'the closing of the listener')
    hive.signal('SIGTERM')
    assert.deepEqual(await within(hive.ended, 3_000, 'the end'), { code: 143, signal: null })
    await world.check(await world.start())
  })

  it('F64: Ctrl-C under npm, which the terminal and npm both send on, is one signal', async (t) => {
    const { world, hive } = await running(t)
    const slow = world.client(hive).visit('lives', 'slow?ms=1000', 30_000)
    await delay(200) // it is under way
    hive.signal('SIGINT')
    await delay(20) // the kernel would make one of two that are pending
    hive.signal('SIGINT')
    assert.equal((await slow)?.status, 200)
    assert.deepEqual(await within(hive.ended, LIMIT_MS, 'the end'), { code: 0, signal: null })
    await world.check(await world.start())
  })

  it('F64: a closed terminal during a spawn: what was answered is kept, and goes on with the next start', async (t) => {
    const { world, hive } = await running(t)
    const client = world.client(hive)
    const spawns = ['a', 'b', 'c'].map((name) => client.create('script', name))
    await delay(60) // somewhere in the launches
    hive.signal('SIGHUP')
    const replies = await Promise.all(spawns)
    for (const reply of replies) assert.ok(reply === null || [201, 202, 503].includes(reply.status), reply?.text)
    assert.deepEqual(await within(hive.ended, LIMIT_MS, 'the end'), { code: 0, signal: null })
    await world.check(await world.start())
  })

  it('F64: at any moment of the start: exit 0, or by the signal before Hive can hear it', async (t) => {
    const { world, hive } = await running(t)
    await hive.end('SIGTERM')
    const workers = workersOf(world.run)
    for (const ms of ALL ? [50, 150, 250, 350, 450, 600, 800, 1000, 1300] : [300, 600, 900]) {
      const end = await world.startAndSignal('SIGTERM', ms)
      assert.ok(end.code === 0 || end.signal === 'SIGTERM', `after ${ms} ms: ${JSON.stringify(end)}`)
      assert.deepEqual(workersOf(world.run), workers, `after ${ms} ms`)
    }
    await world.check(await world.start())
  })
})

const ECHO = new URL('../support/fixtures/echo-worker.mjs', import.meta.url).pathname
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='

/** A Hive with one connection of each kind that no client means to end. */
async function crowd(t: TestContext): Promise<HiveProcess> {
  const script = { command: process.execPath, args: [ECHO], port: 8080 }
  const echo = { id: 'echo', runner_type: 'script', runner_config: script }
  const world = await worldOf(t, { kinds: [echo] })
  const hive = await world.start()
  const client = world.client(hive)
  assert.equal((await client.create('echo', 'echo'))?.status, 201)
  const bearer = `Authorization: Bearer ${hive.token}`
  const open = async (seen: string, ...lines: string[]) => {
    const socket = await rawConnect(t, hive.port)
    if (lines.length > 0) socket.write([...lines.slice(0, 1), 'Host: localhost', ...lines.slice(1)].join('\r\n'))
    if (seen !== '') await readUntil(socket, (text) => text.includes(seen))
    return socket
  }
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', KEY, '', '']
  await open('')
  await open('', 'GET /livez HTTP/1.1', 'X-Half')
  await open('', 'POST /cocoons/echo/ HTTP/1.1', 'Content-Le')
  await open('alive', 'GET /livez HTTP/1.1', '', '')
  await open('', 'POST /spawn HTTP/1.1', bearer, 'Content-Type: application/json', 'Content-Length: 99', '', '{"ki')
  await open('', 'PUT /cocoons/echo/ HTTP/1.1', 'Content-Length: 999999', '', 'half')
  await open('200 OK', 'GET /events HTTP/1.1', bearer, 'Accept: text/event-stream', '', '')
  await open('200 OK', 'GET /services/echo/logs?follow=true HTTP/1.1', bearer, '', '')
  await open('tick', 'GET /cocoons/echo/sse HTTP/1.1', '', '')
  await open('101', 'GET /cocoons/echo/ HTTP/1.1', ...upgrade)
  await open('404', 'GET /cocoons/none/ HTTP/1.1', ...upgrade)
  await open('', 'GET /services/echo?wait=stopped&timeout_s=60 HTTP/1.1', bearer, '', '')
  await open('alive', 'GET /livez HTTP/1.1', '', '') // the ones above were read before it
  return hive
}

/** A fault that Hive gets at a signal: what no code of its own catches. */
const FAULTS = {
  'an uncaught error': "process.on('SIGUSR2', () => { throw new Error('planted') })",
  'an unhandled rejection': "process.on('SIGUSR2', async () => { throw new Error('planted') })",
}

describe('Hive fails by itself', () => {
  for (const [what, fault] of Object.entries(FAULTS))
    it(`F65: ${what} ends it with 70 and a last line, its cocoons live on, and the next start finds them`, async (t) => {
      const world = await worldOf(t)
      const url = `data:text/javascript,${encodeURIComponent(fault)}`
      const hive = await world.start({ env: { NODE_OPTIONS: `--import "${url}"` } })
      assert.equal((await world.client(hive).create('script', 'lives'))?.status, 201)
      const workers = workersOf(world.run)
      assert.deepEqual(await hive.end('SIGUSR2'), { code: 70, signal: null })
      await until(() => /"level":60.*planted.*uncaught: Hive ends/.test(hive.output()), 5_000, 'the last line')
      assert.deepEqual(workersOf(world.run), workers)
      await world.check(await world.start())
    })

  it('F65: without memory it dies, its cocoons live on, and the next start finds them', async (t) => {
    const { world, hive } = await running(t)
    await hive.end('SIGTERM')
    const workers = workersOf(world.run)
    // Too little for Hive to work with, if it starts at all.
    const starved = world.start({ env: { NODE_OPTIONS: '--max-old-space-size=12' } })
    const ended = await starved.then(
      (small) => Promise.race([floodUntilDead(world, small), small.ended]),
      (error: unknown) => (error instanceof HiveEnded ? error.end : Promise.reject(error)),
    )
    assert.notEqual(ended?.code, 0, 'it did not run out of memory')
    assert.deepEqual(
      workersOf(world.run).filter(({ name }) => name === 'lives'),
      workers,
    )
    await world.check(await world.start())
  })
})

async function floodUntilDead(world: World, hive: HiveProcess) {
  const client = world.client(hive)
  for (let n = 0; n < 300; n++)
    if ((await client.call('POST', '/spawn', { kind: 'fails', name: `flood-${n}` })) === null) break
  return within(hive.ended, 10_000, 'the death of a starved Hive')
}
