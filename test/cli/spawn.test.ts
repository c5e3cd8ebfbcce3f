import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { hive } from '../support/command-line.ts'
import { problem, record, type StubHandler, startStubHive } from '../support/stub-hive.ts'

const requested = record({ name: 'web', state: 'requested', ready: false, pid: null, ready_at: null })

/** POST answers the first record, each GET the next one; the last stays. */
function life(records: readonly ServiceRecord[]): StubHandler {
  let at = 0
  return ({ method }) => {
    if (method === 'GET') at = Math.min(at + 1, records.length - 1)
    return { status: method === 'POST' ? 202 : 200, body: records[at] }
  }
}

async function secretFile(t: TestContext, content: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-cli-'))
  t.after(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'secret'), content)
  return join(directory, 'secret')
}

test('spawn waits until the cocoon is ready and prints its own address, and nothing else, on stdout', async (t) => {
  const preparing = { ...requested, state: 'preparing' } as const
  const stub = await startStubHive(t, life([requested, preparing, preparing, record({ name: 'web' })]))
  const ran = await hive(['spawn', 'native', '--name', 'cocoons:web', '--url', stub.url])
  assert.equal(ran.code, 0)
  assert.equal(ran.stdout, 'http://web.localhost:8020/\n')
  assert.match(ran.stderr, /^cocoons:web {2}requested\ncocoons:web {2}preparing\ncocoons:web {2}running\n/)
  assert.match(ran.stderr, /cocoons:web is ready after \d/)
  assert.deepEqual(
    stub.seen.map(({ method, path }) => `${method} ${path}`),
    ['POST /spawn', 'GET /services/web', 'GET /services/web', 'GET /services/web'],
  )
  assert.equal(stub.seen[1]?.query.get('id'), requested.id)
})

test('spawn prints the name of a cocoon that has no address', async (t) => {
  const stub = await startStubHive(t, life([record({ name: 'worker', url: null, origin_url: null })]))
  const ran = await hive(['spawn', 'native', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:worker\n')
})

test('spawn sends exactly what it was told, with a request id of its own', async (t) => {
  const stub = await startStubHive(t, life([record()]))
  const options = ['--label', 'team=blue', '--env', 'A=b=c', '--env', 'FROM_HERE', '--env', 'EMPTY=', '--no-wait']
  const ran = await hive(['spawn', 'native', ...options, '--url', stub.url], { env: { FROM_HERE: 'here' } })
  assert.equal(ran.code, 0)
  assert.equal(ran.stdout, 'cocoons:cocoon-abc123\n')
  const { request_id, ...body } = stub.seen[0]?.body ?? {}
  assert.deepEqual(body, {
    kind: 'native',
    labels: { team: 'blue' },
    environment: { A: 'b=c', FROM_HERE: 'here', EMPTY: '' },
  })
  assert.match(String(request_id), /^[0-9a-f-]{36}$/)
})

test('spawn takes the setup token from a file or the environment, the file first', async (t) => {
  const stub = await startStubHive(t, life([record()]))
  const env = { COCOON_SETUP_TOKEN: 'from-env' }
  const file = await secretFile(t, 'from-file\n')
  await hive(['spawn', 'native', '--url', stub.url], { env })
  await hive(['spawn', 'native', '--setup-token-file', file, '--url', stub.url], { env })
  assert.deepEqual(
    stub.seen.map(({ body }) => body['setup_token']),
    ['from-env', 'from-file'],
  )
})

test('spawn refuses a setup token in argv and does not repeat it', async () => {
  const ran = await hive(['spawn', 'native', '--setup-token=planted-secret'])
  assert.equal(ran.code, 2)
  assert.doesNotMatch(ran.stderr, /planted-secret/)
})

test('F14 spawn repeats a lost request with the same request id and makes one cocoon', async (t) => {
  const ids: unknown[] = []
  const stub = await startStubHive(t, ({ method, body }) => {
    if (method === 'POST') ids.push(body['request_id'])
    return ids.length < 3 ? 'drop' : { status: 200, body: record() }
  })
  const ran = await hive(['spawn', 'native', '--url', stub.url])
  assert.equal(ran.code, 0)
  assert.equal(ids.length, 3)
  assert.equal(new Set(ids).size, 1)
})

test('spawn goes on waiting when the connection breaks while the cocoon comes up', async (t) => {
  let gets = 0
  const stub = await startStubHive(t, ({ method }) => {
    if (method === 'POST') return { status: 202, body: requested }
    gets += 1
    return gets === 1 ? 'drop' : { status: 200, body: record({ name: 'web' }) }
  })
  const ran = await hive(['spawn', 'native', '--url', stub.url])
  assert.equal(ran.code, 0)
  assert.equal(gets, 2)
})

test('spawn exits 7 and says why when the cocoon can never start', async (t) => {
  const error = { code: 'HIVE_LAUNCH_REFUSED', detail: 'there is no command `nope`' }
  const rejected = { ...requested, state: 'rejected', error } as const
  const stub = await startStubHive(t, life([requested, rejected]))
  const plain = await hive(['spawn', 'native', '--url', stub.url])
  assert.equal(plain.code, 7)
  assert.equal(plain.stdout, '')
  assert.match(
    plain.stderr,
    /did not start\ncocoons:web is rejected: there is no command `nope` \(HIVE_LAUNCH_REFUSED\)/,
  )
  const json = await hive(['spawn', 'native', '--json', '--url', stub.url])
  const printed = JSON.parse(json.stderr)
  assert.equal(printed.code, 'CLI_NOT_STARTED')
  assert.equal(printed.exit_code, 7)
  assert.deepEqual(printed.service, rejected)
})

test('spawn waits on while a failed attempt is to be tried again', async (t) => {
  const failed = { ...requested, state: 'failed', next_attempt_at: '2026-01-01T00:00:09.000Z' } as const
  const stub = await startStubHive(t, life([requested, failed, record({ name: 'web', attempt: 2 })]))
  assert.equal((await hive(['spawn', 'native', '--url', stub.url])).code, 0)
})

test('spawn of a cocoon that was ready and ended well at once is a success, one that failed is not', async (t) => {
  const exit = { code: 0, signal: null, reason: 'exited', oom: false } as const
  const done = await startStubHive(t, life([requested, record({ state: 'stopped', ready: false, exit })]))
  assert.equal((await hive(['spawn', 'native', '--url', done.url])).code, 0)
  const bad = { ...exit, code: 3 }
  const failed = await startStubHive(t, life([requested, record({ state: 'failed', ready: false, exit: bad })]))
  const ran = await hive(['spawn', 'native', '--url', failed.url])
  assert.equal(ran.code, 7)
  assert.match(ran.stderr, /ended with code 3/)
})

test('spawn exits 7 after --timeout and says that Hive goes on', async (t) => {
  const stub = await startStubHive(t, life([requested]))
  const ran = await hive(['spawn', 'native', '--timeout', '150ms', '--url', stub.url])
  assert.equal(ran.code, 7)
  assert.match(ran.stderr, /cocoons:web is still requested/)
  assert.match(ran.stderr, /hive show web/)
})

test('spawn exits 7 when the cocoon is removed by someone else meanwhile', async (t) => {
  const final = record({ name: 'web', state: 'removed', desired: 'removed', ready: false })
  const stub = await startStubHive(t, ({ method }) =>
    method === 'POST' ? { status: 202, body: requested } : problem(410, 'HIVE_COCOON_GONE', { service: final }),
  )
  const ran = await hive(['spawn', 'native', '--url', stub.url])
  assert.equal(ran.code, 7)
  assert.match(ran.stderr, /cocoons:web is removed/)
})

test('spawn shows a pull in bytes and layers on a terminal, and only layers line by line elsewhere', async (t) => {
  const pulling = (current: number, done: number) => ({
    ...requested,
    state: 'preparing',
    progress: {
      phase: 'pull',
      message: 'pulling',
      current_bytes: current,
      total_bytes: 30e6,
      layers_done: done,
      layers_total: 5,
    },
  })
  const records = [requested, pulling(1e6, 1), pulling(2e6, 1), pulling(20e6, 4), record({ name: 'web' })]
  const terminal = await startStubHive(t, life(records as ServiceRecord[]))
  const seen = await hive(['spawn', 'native', '--url', terminal.url], { terminal: true })
  assert.ok(seen.stderr.includes('\r\u001b[Kcocoons:web  preparing  2.0 of 30.0 MB  layers 1/5  '), seen.stderr)
  assert.match(seen.stderr, /layers 1\/5 {2}[\d.]+ s {2}pulling/)
  const pipe = await startStubHive(t, life(records as ServiceRecord[]))
  const { stderr } = await hive(['spawn', 'native', '--url', pipe.url])
  assert.deepEqual(stderr.split('\n').slice(0, 4), [
    'cocoons:web  requested',
    'cocoons:web  preparing  pull  layers 1/5',
    'cocoons:web  preparing  pull  layers 4/5',
    'cocoons:web  running',
  ])
  assert.ok(!stderr.includes('\u001b'))
})

test('spawn refuses wrong options before it asks Hive', async () => {
  const wrong = [
    ['spawn'],
    ['spawn', 'a', 'b'],
    ['spawn', 'a', '--env', '=x'],
    ['spawn', 'a', '--env', 'NOT_SET_ANYWHERE'],
    ['spawn', 'a', '--label', 'x'],
    ['spawn', 'a', '--timeout', 'soon'],
    ['spawn', 'a', '--setup-token-file', '/nonexistent/file'],
    ['spawn', 'a', '--wat'],
  ]
  for (const argv of wrong) {
    const ran = await hive(argv)
    assert.equal(ran.code, 2, argv.join(' '))
    assert.match(ran.stderr, /--help/, argv.join(' '))
  }
})
