import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hive } from '../support/command-line.ts'
import { openHive } from '../support/hive.ts'

const WORKER = join(import.meta.dirname, '..', '..', 'examples', 'worker', 'worker.mjs')
const KINDS = [
  { id: 'native', runner_type: 'script', runner_config: { command: process.execPath, args: [WORKER], port: 8080 } },
  { id: 'nothing', runner_type: 'script', runner_config: { command: '/nonexistent/worker' } },
]

/** The command line against a whole Hive on a real socket, with real processes. */
async function openCommandLine(t: TestContext) {
  const server = await openHive(t, { kinds: KINDS })
  const env = { HIVE_URL: server.url, HIVE_STATE_DIR: server.directory }
  return { server, run: (...argv: string[]) => hive(argv, { env }) }
}

test('a cocoon is spawned, listed, stopped, started, restarted and killed by the command line', async (t) => {
  const { run } = await openCommandLine(t)
  const spawned = await run('spawn', 'native', '--name', 'web', '--label', 'team=blue')
  assert.equal(spawned.code, 0, spawned.stderr)
  assert.match(spawned.stdout, /^http:\/\/web\.localhost:\d+\/\n$/)
  assert.match(
    (await run('list', '--state', 'running', '--label', 'team=blue')).stdout,
    /^cocoons:web {2}running {2}PID \d+ \(native\)\n$/,
  )
  assert.match((await run('show', 'cocoons:web')).stdout, /\nstate {7}running \(wanted: running\)\n/)
  assert.match((await run('stop', 'web')).stdout, /^cocoons:web {2}stopped /)
  assert.match((await run('start', 'web')).stdout, /^cocoons:web {2}running {2}PID \d+ /)
  const { stdout } = await run('restart', 'web', '--json')
  const { attempt, state, ready } = JSON.parse(stdout)
  assert.deepEqual({ attempt, state, ready }, { attempt: 3, state: 'running', ready: true })
  assert.match((await run('kill', 'web')).stdout, /^cocoons:web {2}removed /)
  assert.match((await run('kill', 'web')).stdout, /^cocoons:web {2}removed /)
  assert.equal((await run('show', 'web')).code, 3)
  assert.equal((await run('list')).stdout, '')
})

test('the same --request-id gives the same cocoon, another body under it is a conflict', async (t) => {
  const { run } = await openCommandLine(t)
  const first = JSON.parse((await run('spawn', 'native', '--request-id', 'r1', '--json')).stdout)
  const second = JSON.parse((await run('spawn', 'native', '--request-id', 'r1', '--json')).stdout)
  assert.equal(second.id, first.id)
  const other = await run('spawn', 'native', '--request-id', 'r1', '--label', 'a=b')
  assert.equal(other.code, 6, other.stderr)
  assert.match(other.stderr, /request id was used/)
})

test('failures of a real Hive end with their exit codes', async (t) => {
  const { run, server } = await openCommandLine(t)
  assert.equal((await run('show', 'nobody')).code, 3)
  assert.equal((await run('kill', 'nobody')).code, 3)
  assert.equal((await run('spawn', 'unknown-kind')).code, 3)
  assert.equal((await run('spawn', 'native', '--name', 'Not_A_Name')).code, 2)
  assert.equal((await run('list', '--state', 'sleeping')).code, 2)
  assert.equal((await run('spawn', 'nothing')).code, 7)
  const stranger = await hive(['list'], { env: { HIVE_URL: server.url, HIVE_TOKEN: 'x'.repeat(43) } })
  assert.equal(stranger.code, 4)
})

test('kinds says which kind cannot be spawned and why', async (t) => {
  const { run } = await openCommandLine(t)
  assert.equal((await run('kinds')).stdout, 'native (script)\nnothing (script)\n')
  assert.match(
    (await run('kinds', '--long')).stdout,
    /^native \(script\)\nnothing \(script\) {2}unavailable: .*\/nonexistent\/worker/,
  )
})
