import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { openServer } from '../support/signaling.ts'

const WORKER = join(import.meta.dirname, '..', '..', 'examples', 'worker', 'worker.mjs')
const SECRET = 'Ab3_xY9-Kq7Lm2Np5Rs8Tv1Wz4Cd6Ef0Gh_jUoPiBnVw'

async function startWorker(t: TestContext, env: Record<string, string>, file = WORKER) {
  const child = spawn(process.execPath, [file], {
    env: { PORT: String(await freePort()), COCOON_NAME: 'one', COCOON_SECRET: SECRET, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  return {
    child: child as ChildProcess,
    output: () => text,
    ended: () => within(ended, 20_000, 'the end of the worker'),
  }
}

for (const generation of [1, 2, null] as const)
  for (const greets of [false, true])
    test(`1.8: the worker registers at a server of generation ${generation ?? '1 and 2'}${greets ? ' that greets' : ''}, deregisters on TERM and never shows its secrets`, async (t) => {
      const server = await openServer(t, { generation, greets })
      const env = { SIGNALING_SERVER_URL: server.url, COCOON_SETUP_TOKEN: 'tok-planted' }
      const worker = await startWorker(t, env)
      await until(() => worker.output().includes('registered with the signaling server'), 10_000, 'the registration')
      assert.deepEqual(server.lines, ['cocoon one registered (owner local)'])
      worker.child.kill('SIGTERM')
      assert.deepEqual(await worker.ended(), [0, null])
      assert.deepEqual(server.lines.slice(1), ['cocoon one has deregistered'])
      assert.doesNotMatch(worker.output() + server.lines.join(), /tok-planted|Ab3_xY9/)
    })

test('1.8: the worker ends with 0 when its socket to the server closes', async (t) => {
  const server = await openServer(t)
  const env = { SIGNALING_SERVER_URL: `${server.url}?a=1`, COCOON_SETUP_TOKEN: 'tok' }
  const worker = await startWorker(t, env)
  await until(() => worker.output().includes('registered with'), 10_000, 'the registration')
  await server.close()
  assert.deepEqual(await worker.ended(), [0, null])
})

test('1.8: the worker ends with 1 when it cannot connect, or is refused', async (t) => {
  const setup = { COCOON_SETUP_TOKEN: 'tok' }
  const lonely = await startWorker(t, { ...setup, SIGNALING_SERVER_URL: `ws://127.0.0.1:${await freePort()}/ws` })
  assert.deepEqual(await lonely.ended(), [1, null])
  const server = await openServer(t, { generation: 2 })
  const weak = await startWorker(t, { ...setup, SIGNALING_SERVER_URL: server.url, COCOON_SECRET: 'password' })
  assert.deepEqual(await weak.ended(), [1, null])
})

test('issue 5.5: without a setup token, a URL or a WebSocket client the worker works on without signaling', async (t) => {
  const server = await openServer(t)
  const without = [
    { SIGNALING_SERVER_URL: server.url },
    { COCOON_SETUP_TOKEN: 'tok' },
    { SIGNALING_SERVER_URL: server.url, COCOON_SETUP_TOKEN: 'tok', NODE_OPTIONS: '--no-experimental-websocket' },
  ]
  for (const env of without) {
    const worker = await startWorker(t, env as unknown as Record<string, string>)
    await until(() => worker.output().includes('listens on'), 10_000, 'the worker')
    worker.child.kill('SIGTERM')
    assert.deepEqual(await worker.ended(), [0, null])
  }
  assert.deepEqual(server.lines, [])
})
