import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { WebSocket } from 'ws'
import { openStateDirectory } from '../../src/services/table/state-directory.ts'
import { openServiceTable } from '../../src/services/table/table.ts'
import { createVault } from '../../src/services/table/vault.ts'
import { Ledger } from '../../src/signaling/ledger.ts'
import type { Asked } from '../../src/signaling/request.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import type { TestHive } from '../support/hive.ts'
import { serverBench } from '../support/hive-server.ts'
import {
  confirm,
  openApp,
  openRawServer,
  openServer,
  openSignalingHive,
  ownPortRange,
  type Received,
  registered,
  resultOf,
  SECRET,
  tell,
} from '../support/signaling.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const KINDS = [{ id: 'fake', runner_type: 'script', runner_config: { command: 'true' } }]
const SPAWN = { type: 'spawn_cocoon', request_id: 'r', kind: 'fake', setup_token: 'tok-planted', name: 'one' }
const isResult = resultOf('spawn_cocoon', 'r')

function openFake(t: TestContext, url: string, runner: FakeRunner, directory?: string): Promise<TestHive> {
  const options = { kinds: KINDS, drivers: [runner.driver()], ...(directory !== undefined && { directory }) }
  return openSignalingHive(t, url, options)
}

const state = async (hive: TestHive) => (await hive.call('GET', '/services/one')).body.state as string
const owed = async (hive: TestHive) => (await hive.app.serviceTable.documents('signaling')).size
const isSettled = async (hive: TestHive) => hive.app.signaling?.status().unsent === 0 && (await owed(hive)) === 0

describe('a result survives', () => {
  test('issue 5.6: a restart of the server during the spawn', async (t) => {
    const server = await openServer(t)
    const runner = new FakeRunner()
    const hive = await openFake(t, server.url, runner)
    await registered(hive)
    const release = runner.hold('start')
    const app = await openApp(t, server.url)
    app.send(SPAWN)
    await until(async () => (await state(hive)) === 'starting', 10_000, 'the launch')
    await server.close()
    release()
    await until(() => hive.app.signaling?.status().unsent === 1, 10_000, 'the result')
    const { port } = server
    const again = await openServer(t, { port })
    await until(() => again.lines.includes('spawnResult r: success'), 15_000, 'the result at the new server')
    await until(() => isSettled(hive), 10_000, 'the receipt')
    assert.equal(again.lines.filter((line) => line.startsWith('spawnResult')).length, 1)
  })

  test('issue 5.2: a restart of Hive during the spawn, and one while the server is away', async (t) => {
    const directory = await tempDirectory(t)
    const server = await openServer(t)
    const runner = new FakeRunner()
    const release = runner.hold('start')
    const first = await openFake(t, server.url, runner, directory)
    await registered(first)
    const app = await openApp(t, server.url)
    app.send(SPAWN)
    await until(async () => (await state(first)) === 'starting', 10_000, 'the launch')
    await first.close()
    await server.close()
    const second = await openFake(t, server.url, runner, directory)
    release()
    await until(() => second.app.signaling?.status().unsent === 1, 10_000, 'the result')
    await second.close()
    const again = await openServer(t, { port: server.port })
    const third = await openFake(t, server.url, runner, directory)
    await until(() => again.lines.includes('spawnResult r: success'), 15_000, 'the result')
    await until(() => isSettled(third), 10_000, 'the receipt')
    assert.equal(again.lines.filter((line) => line.startsWith('spawnResult')).length, 1)
    assert.equal(runner.calls.filter((call) => call.startsWith('prepare')).length, 1, 'one cocoon only')
    await third.call('DELETE', '/services/one')
  })

  test('issue 5.6: a link that breaks before its receipt; it comes again, and after a receipt never more', async (t) => {
    let isFirst = true
    const server = await openRawServer(t, (message, client) => {
      confirm(message, client)
      if (!isResult(message) || !isFirst) return
      isFirst = false
      client.terminate() // the ping behind the result is never answered
    })
    const runner = new FakeRunner()
    const hive = await openFake(t, server.url, runner)
    await registered(hive)
    for (const client of server.clients) tell(client, SPAWN)
    await until(() => server.received.filter(isResult).length === 2, 15_000, 'the result, and once more')
    await until(() => isSettled(hive), 15_000, 'the receipt')
    for (const client of server.clients) client.close()
    await until(() => server.connections === 3, 10_000, 'another connection')
    await registered(hive)
    assert.equal(server.received.filter(isResult).length, 2)
  })

  test('issue 5.2: a crash between the promise and the row: the next Hive spawns and answers', async (t) => {
    const directory = await tempDirectory(t)
    const asked: Asked = { type: 'spawn', requestId: 'r', kind: 'fake', name: 'one', setupToken: 'tok-planted' }
    await withLedger(directory, (ledger) => ledger.owe(asked, null))
    const { received, hive } = await restart(t, directory)
    await until(() => received.find(isResult), 10_000, 'the result')
    assert.equal(received.find(isResult)?.['container_id'], 'one')
    await until(() => isSettled(hive), 10_000, 'the receipt')
    const repeated = { kind: 'fake', name: 'one', request_id: 'r', setup_token: 'tok-planted' }
    assert.equal((await hive.call('POST', '/spawn', repeated)).status, 200, 'its setup token was kept, sealed')
    await hive.call('DELETE', '/services/one')
  })

  test('issue 5.2: a crash between the row and the result: the row says what became of it', async (t) => {
    const directory = await tempDirectory(t)
    const runner = new FakeRunner()
    const before = await openFake(t, 'ws://127.0.0.1:1/ws', runner, directory)
    await before.spawn({ kind: 'fake', name: 'one', request_id: 'r', setup_token: 'tok-planted' })
    await before.call('DELETE', '/services/one')
    await before.spawn({ kind: 'fake', name: 'two', request_id: 't' })
    const { body: two } = await before.call('GET', '/services/two')
    await before.close()
    await withLedger(directory, async (ledger) => {
      await ledger.owe({ type: 'spawn', requestId: 'r', kind: 'fake', name: 'one', setupToken: 'tok-planted' }, null)
      await ledger.owe({ type: 'terminate', requestId: 'x', target: 'two' }, two.id)
      await ledger.owe({ type: 'terminate', requestId: 'y', target: 'gone' }, 'an id that is forgotten')
    })
    const { received } = await restart(t, directory, runner)
    const success = (type: string, id: string) =>
      until(() => received.find(resultOf(type, id)), 10_000, `${type} ${id}`)
    assert.equal((await success('spawn_cocoon', 'r'))['success'], true, 'it had run once')
    assert.equal((await success('terminate_cocoon', 'x'))['success'], true)
    assert.equal((await success('terminate_cocoon', 'y'))['success'], true)
    assert.equal(runner.running(two.id), 0)
  })

  test('issue 5.2: kill -9 of a real Hive right after the promise, with a real cocoon', async (t) => {
    const clients: WebSocket[] = []
    const server = await openRawServer(t, confirm, (client) => clients.push(client))
    const worker = join(import.meta.dirname, '..', '..', 'examples', 'worker', 'worker.mjs')
    const kinds = [
      { id: 'fake', runner_type: 'script', runner_config: { command: process.execPath, args: [worker], port: 1 } },
    ]
    const own = { HIVE_PORT_RANGE: ownPortRange(), COCOON_KINDS: JSON.stringify(kinds) }
    const bench = await serverBench(t, { SIGNALING_SERVER_URL: server.url, HIVE_SECRET: SECRET, ...own })
    const first = bench.start()
    await first.line('signaling: registered')
    for (const client of clients) tell(client, { ...SPAWN, setup_token: '' })
    await first.line('requested')
    first.child.kill('SIGKILL')
    await first.exit()
    assert.equal(server.received.filter(isResult).length, 0)
    const second = bench.start()
    await until(() => server.received.find(isResult), 30_000, 'the result')
    await until(async () => (await second.call('GET', '/readyz')).body.signaling.unsent === 0, 10_000, 'the receipt')
    assert.deepEqual(server.received.filter(isResult), [
      { type: 'spawn_cocoon_result', request_id: 'r', success: true, container_id: 'one' },
    ])
    assert.equal((await second.call('GET', '/services')).body.services.length, 1)
  })
})

describe('the ledger', () => {
  test('issue 5.2: forgets what is older than a week', async (t) => {
    const directory = await tempDirectory(t)
    const old = () => new Date(Date.now() - 8 * 86_400_000)
    const result = { type: 'spawn', requestId: 'old', success: true, containerId: 'c', error: null } as const
    await withLedger(directory, (ledger) => ledger.conclude(result), old)
    await withLedger(directory, (ledger) => ledger.conclude({ ...result, requestId: 'new' }))
    assert.deepEqual(await withLedger(directory, (ledger) => ledger.load()), [
      { result: { ...result, requestId: 'new' } },
    ])
    await withLedger(directory, async (ledger) => assert.equal((await ledger.load()).length, 1))
  })

  test('issue 5.2: keeps setup tokens sealed only, and says so when their key is gone', async (t) => {
    const directory = await tempDirectory(t)
    const asked: Asked = { type: 'spawn', requestId: 'r', kind: 'fake', name: null, setupToken: 'tok-planted' }
    await withLedger(directory, (ledger) => ledger.owe(asked, null))
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    assert.doesNotMatch(JSON.stringify([...(await table.documents('signaling')).values()]), /tok-planted/)
    const stranger = new Ledger({ documents: table, vault: createVault(Buffer.alloc(32, 7)), now: () => new Date() })
    assert.deepEqual(await stranger.load(), [{ lost: 'spawn', requestId: 'r' }])
  })
})

async function withLedger<T>(
  directory: string,
  use: (ledger: Ledger) => Promise<T>,
  now = () => new Date(),
): Promise<T> {
  const { masterKey } = await openStateDirectory({ path: directory, token: null, masterKey: null })
  const table = await openServiceTable(directory)
  try {
    return await use(new Ledger({ documents: table, vault: createVault(masterKey), now }))
  } finally {
    await table.close()
  }
}

/** A Hive on an old state directory, at a server that keeps what it is sent. */
async function restart(
  t: TestContext,
  directory: string,
  runner = new FakeRunner(),
): Promise<{ readonly hive: TestHive; readonly received: readonly Received[] }> {
  const { url, received } = await openRawServer(t, confirm)
  return { hive: await openFake(t, url, runner, directory), received }
}
