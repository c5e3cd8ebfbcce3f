import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { COMMANDS } from '../../src/cli/main.ts'
import { hive } from '../support/command-line.ts'
import { problem, record, startStubHive } from '../support/stub-hive.ts'

test('--help lists every command and exit code, and each command explains itself with examples', async () => {
  const overview = await hive(['--help'])
  assert.equal(overview.code, 0)
  for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 78]) assert.match(overview.stdout, new RegExp(`(^|\\s)${code} \\w`))
  for (const { name: command } of COMMANDS) {
    assert.match(overview.stdout, new RegExp(`\n {2}${command} `), command)
    const { code, stdout } = await hive([command, '--help'])
    assert.equal(code, 0, command)
    assert.match(
      stdout,
      new RegExp(`Usage: hive ${command}[\\s\\S]*Examples:\n {2}.*hive ${command}[\\s\\S]*--json`),
      command,
    )
    assert.equal((await hive(['help', command])).stdout, stdout, command)
  }
})

test('no command and unknown commands exit 2 with the way to the help on stderr', async () => {
  const none = await hive([])
  assert.equal(none.code, 2)
  assert.equal(none.stdout, '')
  const unknown = await hive(['frobnicate'])
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, /no command `frobnicate`[\s\S]*hive --help/)
})

test('options that do nothing alone are refused, and unknown ones named without advice that misleads', async () => {
  for (const argv of [
    ['doctor', '--force'],
    ['orphans', '--volumes'],
  ]) {
    const ran = await hive(argv)
    assert.equal(ran.code, 2)
    assert.match(ran.stderr, /goes with --re/)
  }
  const { stderr } = await hive(['list', '--stat', 'running'])
  assert.match(stderr, /^Unknown option '--stat'\nSee `hive list --help`\.$/m)
})

test('--version prints the version that the bin gave', async () => {
  assert.equal((await hive(['--version'])).stdout, '9.9.9\n')
})

test('a wrong command line is problem JSON on stderr when --json stands anywhere in it', async () => {
  const ran = await hive(['list', '--wat', '--json'])
  assert.equal(ran.code, 2)
  assert.equal(ran.stdout, '')
  assert.equal(JSON.parse(ran.stderr).code, 'CLI_USAGE')
})

test('each answer of Hive has its exit code, and its title and detail are printed', async (t) => {
  const expected: readonly [status: number, code: string, exit: number][] = [
    [400, 'HIVE_REQUEST_INVALID', 2],
    [401, 'HIVE_UNAUTHORIZED', 4],
    [403, 'HIVE_FORBIDDEN', 4],
    [404, 'HIVE_SERVICE_UNKNOWN', 3],
    [409, 'HIVE_NAME_TAKEN', 6],
    [410, 'HIVE_COCOON_GONE', 3],
    [412, 'HIVE_REVISION_STALE', 6],
    [422, 'HIVE_KIND_UNKNOWN', 3],
    [424, 'HIVE_START_FAILED', 7],
    [429, 'HIVE_CAPACITY', 1],
    [500, 'HIVE_INTERNAL', 1],
    [503, 'HIVE_RUNNER_UNAVAILABLE', 7],
  ]
  for (const [status, code, exit] of expected) {
    const stub = await startStubHive(t, () => problem(status, code))
    const ran = await hive(['show', 'web', '--url', stub.url])
    assert.equal(ran.code, exit, code)
    assert.match(ran.stderr, new RegExp(`^hive: title of ${code}\ndetail of ${code}\n`))
    const json = JSON.parse((await hive(['show', 'web', '--json', '--url', stub.url])).stderr)
    assert.equal(json.code, code)
    assert.equal(json.status, status)
    assert.equal(json.exit_code, exit)
  }
})

test('wrong fields are listed under the error', async (t) => {
  const errors = [{ pointer: '/labels/x', detail: 'must be a string' }]
  const stub = await startStubHive(t, () => problem(400, 'HIVE_REQUEST_INVALID', { errors }))
  const ran = await hive(['show', 'web', '--url', stub.url])
  assert.match(ran.stderr, /\n {2}\/labels\/x: must be a string\n/)
})

test('nobody at the address exits 5 at once and says how to start Hive', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  for (const argv of [['list'], ['spawn', 'native']]) {
    const ran = await hive([...argv, '--url', `http://127.0.0.1:${port}`])
    assert.equal(ran.code, 5)
    assert.match(ran.stderr, /cannot be reached\n.*ECONNREFUSED\n.*hive serve/)
  }
})

test('something else at the address exits 5 and is called what it is', async (t) => {
  const answers = [
    { status: 200, body: '<html>a router page</html>' },
    { status: 500, body: 'oops' },
    { status: 404, body: { message: 'not a problem document' } },
    { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/' } },
  ]
  for (const answer of answers) {
    const stub = await startStubHive(t, () => answer)
    const ran = await hive(['show', 'web', '--url', stub.url])
    assert.equal(ran.code, 5, String(answer.status))
    assert.match(ran.stderr, /not Hive/)
  }
})

test('show prints a block for people and the record for programs', async (t) => {
  const exit = { code: 137, signal: 'SIGKILL', reason: 'oom', oom: true } as const
  const error = { code: 'HIVE_X', detail: 'it \u001b[31mfailed' }
  const uses = [
    { name: 'db', service: 'pg', service_id: 'id', host: '127.0.0.1', port: 20_007 },
    { name: 'mq', service: null, service_id: null, host: null, port: null },
  ]
  const service = record({ name: 'web', state: 'failed', labels: { team: 'blue' }, exit, error, uses })
  const stub = await startStubHive(t, () => ({ status: 200, body: service }))
  const { stdout } = await hive(['show', 'cocoons:web', '--url', stub.url])
  assert.match(stdout, /^name {8}cocoons:web\n/)
  assert.match(stdout, /\nlabels {6}team=blue\n/)
  assert.match(stdout, /\nuses {8}db from cocoons:pg at 127\.0\.0\.1:20007, mq \(waits\)\n/)
  assert.match(stdout, /\nexit {8}code 137, SIGKILL, out of memory\n/)
  assert.match(stdout, /\nerror {7}it \\x1b\[31mfailed \(HIVE_X\)\n/)
  assert.equal(stub.seen[0]?.path, '/services/web')
  const json = await hive(['show', 'web', '--json', '--url', stub.url])
  assert.deepEqual(JSON.parse(json.stdout), service)
})

test('show says why a cocoon was ended, beside the signal, and nothing of the health it had', async (t) => {
  for (const [reason, shown] of [
    ['idle', 'code 143, SIGTERM, idle'],
    ['unhealthy', 'code 143, SIGTERM, unhealthy'],
    ['exited', 'code 143, SIGTERM'],
  ] as const) {
    const exit = { code: 143, signal: 'SIGTERM', reason, oom: false } as const
    const service = record({ name: 'web', state: 'stopped', health: 'passing', ended_at: '2026-01-31T12:00:00Z', exit })
    const stub = await startStubHive(t, () => ({ status: 200, body: service }))
    const { stdout } = await hive(['show', 'web', '--url', stub.url])
    assert.ok(stdout.includes(`\nexit        ${shown}\n`), stdout)
    assert.doesNotMatch(stdout, /\nhealth /)
  }
})

test('open prints the own origin, else the path, and exits 3 when there is neither', async (t) => {
  let service = record({ name: 'web' })
  const stub = await startStubHive(t, () => ({ status: 200, body: service }))
  assert.equal((await hive(['open', 'web', '--url', stub.url])).stdout, 'http://web.localhost:8020/\n')
  service = record({ name: 'web', origin_url: null })
  assert.equal((await hive(['open', 'web', '--url', stub.url])).stdout, 'http://127.0.0.1:8020/cocoons/web/\n')
  service = record({ name: 'web', origin_url: null, url: null })
  const none = await hive(['open', 'web', '--url', stub.url])
  assert.equal(none.code, 3)
  assert.match(none.stderr, /has no address/)
})
