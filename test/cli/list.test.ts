import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hive } from '../support/command-line.ts'
import { record, startStubHive } from '../support/stub-hive.ts'

const native = record()
const ubuntu = record({
  name: 'cocoon-xyz789',
  kind: 'ubuntu',
  runner: 'docker',
  pid: 77,
  container_id: 'abc123def4567890abc123def4567890',
})
const waiting = record({ name: 'x', kind: 'gpu', state: 'preparing', ready: false, pid: null })

test('list prints name, state, process or container, and kind as the project describes it', async (t) => {
  const stub = await startStubHive(t, () => ({
    status: 200,
    body: { services: [native, ubuntu, waiting], next_cursor: null },
  }))
  const ran = await hive(['list', '--url', stub.url])
  assert.deepEqual(ran, {
    code: 0,
    stdout:
      'cocoons:cocoon-abc123  running  PID 12345 (native)\n' +
      'cocoons:cocoon-xyz789  running  Container abc123def456 (ubuntu)\n' +
      'cocoons:x  preparing  - (gpu)\n',
    stderr: '',
  })
})

test('list follows next_cursor to the last page and hands every filter on', async (t) => {
  const stub = await startStubHive(t, ({ query }) =>
    query.get('cursor') === 'page2'
      ? { status: 200, body: { services: [ubuntu], next_cursor: null } }
      : { status: 200, body: { services: [native], next_cursor: 'page2' } },
  )
  const filters = ['--state', 'running', '--state', 'failed', '--kind', 'native', '--label', 'a=b=c', '--label', 'd=']
  const ran = await hive(['list', '--json', '--url', stub.url, ...filters])
  assert.deepEqual(JSON.parse(ran.stdout), { services: [native, ubuntu] })
  assert.equal(stub.seen.length, 2)
  for (const { query } of stub.seen) {
    assert.deepEqual(query.getAll('state'), ['running,failed'])
    assert.deepEqual(query.getAll('kind'), ['native'])
    assert.deepEqual(query.getAll('label'), ['a=b=c', 'd='])
  }
})

test('list ends with an error when the same page comes again and again', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: { services: [], next_cursor: 'same' } }))
  const ran = await hive(['list', '--url', stub.url])
  assert.equal(ran.code, 1)
  assert.equal(stub.seen.length, 2)
})

test('list of nothing prints nothing on stdout and a hint on stderr', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: { services: [], next_cursor: null } }))
  const plain = await hive(['list', '--url', stub.url])
  assert.equal(plain.code, 0)
  assert.equal(plain.stdout, '')
  assert.match(plain.stderr, /hive spawn/)
  const filtered = await hive(['list', '--state', 'lost', '--url', stub.url])
  assert.equal(filtered.stderr, 'No service fits.\n')
})

test('list shows control characters of a foreign name instead of sending them to the terminal', async (t) => {
  const hostile = record({ name: 'x', fqn: 'cocoons:\u001b]0;owned\u0007\u009b2J', pid: 1 })
  const stub = await startStubHive(t, () => ({ status: 200, body: { services: [hostile], next_cursor: null } }))
  const ran = await hive(['list', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:\\x1b]0;owned\\x07\\x9b2J  running  PID 1 (native)\n')
})
