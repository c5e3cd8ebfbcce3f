import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { hive } from '../support/command-line.ts'
import { until, within } from '../support/deadline.ts'
import { openSignalingHive, ownPortRange, registered, SECRET } from '../support/signaling.ts'

const ROOT = join(import.meta.dirname, '..', '..')

test('hive signaling-server refuses what is wrong with its options', async () => {
  const env = { HIVE_SECRET: 'x' }
  for (const [argv, options, said] of [
    [[], {}, /HIVE_SECRET is not set/],
    [['--port', '70000'], { env }, /--port/],
    [['--port', 'x'], { env }, /--port/],
    [['--protocol', '3'], { env }, /--protocol/],
    [['surplus'], { env }, /too many arguments/],
  ] as const) {
    const { code, stderr } = await hive(['signaling-server', ...argv], options)
    assert.equal(code, 2, stderr)
    assert.match(stderr, said)
  }
  const taken = await hive(['signaling-server', '--host', '192.0.2.77', '--port', '0'], { env })
  assert.equal(taken.code, 1)
  assert.match(taken.stderr, /cannot listen/)
})

test('issue 5.5: the whole loop of the README: server, hive, a client that spawns and terminates', async (t) => {
  const server = spawn(process.execPath, [join(ROOT, 'bin/hive.js'), 'signaling-server', '--port', '0'], {
    env: { PATH: process.env['PATH'], HIVE_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => server.kill('SIGKILL'))
  let said = ''
  server.stdout.on('data', (chunk) => (said += chunk))
  const url = await until(() => /signaling server at (\S+)/.exec(said)?.[1], 20_000, 'the server')
  const worker = join(ROOT, 'examples/worker/worker.mjs')
  const kinds = [
    { id: 'native', runner_type: 'script', runner_config: { command: process.execPath, args: [worker], port: 1 } },
  ]
  const one = await openSignalingHive(t, url, { kinds, env: { HIVE_PORT_RANGE: ownPortRange() } })
  await registered(one)
  const client = async (...args: readonly string[]) => {
    const file = join(ROOT, 'examples/signaling/client.mjs')
    const run = promisify(execFile)(process.execPath, [file, ...args], { env: { SIGNALING_SERVER_URL: url } })
    const { stdout } = await run.catch((error: { stdout: string }) => error)
    return JSON.parse(stdout)
  }
  assert.deepEqual(
    (await client('hives')).hives.map(({ hive_id }: { hive_id: string }) => hive_id),
    ['hive-1'],
  )
  assert.equal((await client('spawn', 'native', 'worker-1')).container_id, 'worker-1')
  await until(() => said.includes('cocoon worker-1 registered'), 10_000, 'the cocoon')
  assert.equal((await client('terminate', 'worker-1')).success, true)
  assert.equal((await client('spawn', 'nope')).success, false)
  const ended = once(server, 'exit')
  server.kill('SIGTERM')
  assert.deepEqual(await within(ended, 10_000, 'the end'), [0, null])
})
