import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { TEST_IMAGES } from '../support/engines.ts'
import { openOnPrivateEngine, privateEngineSkip } from '../support/private-engine.ts'

const WORKER = new URL('../../examples/worker/worker.mjs', import.meta.url).pathname
const KINDS = [
  {
    id: 'web',
    runner_type: 'docker',
    runner_config: { image: TEST_IMAGES.httpd, port: 8080, stop_grace: '1s', restart: 'never' },
  },
  { id: 'native', runner_type: 'script', runner_config: { command: process.execPath, args: [WORKER], port: 8080 } },
]

describe('dockerd hangs', { skip: privateEngineSkip('docker'), timeout: 110_000 }, () => {
  it('F32: only what needs it waits, and all goes on by itself when it does', async (t) => {
    const { engine, hive } = await openOnPrivateEngine(t, 'docker', { kinds: KINDS })
    const before = await hive.spawn({ kind: 'web', name: 'a' })
    for (const name of ['b', 'c', 'd']) await hive.spawn({ kind: 'web', name })
    const record = async (name: string) => (await hive.call('GET', `/services/${name}`)).body
    const visit = async (name: string) =>
      (await fetch(`${hive.url}/cocoons/${name}/`, { signal: AbortSignal.timeout(5_000) })).status
    const isAlive = async () => {
      const signal = AbortSignal.timeout(1_000)
      assert.equal((await fetch(`${hive.url}/livez`, { signal })).status, 200)
    }

    await engine.signal('SIGSTOP')
    const early = await hive.call('POST', '/spawn', { kind: 'web', name: 'early' })
    assert.equal(early.status, 202, 'nobody knows yet')
    for (const name of ['b', 'c', 'd'])
      assert.equal((await hive.call('DELETE', `/services/${name}?wait=none`)).status, 202)
    await isAlive()
    await hive.spawn({ kind: 'native', name: 's' })
    assert.equal(await visit('s'), 200)
    assert.equal(await visit('a'), 200, 'the cocoon is not behind the engine')
    const told = async (name: string) => (await record(name)).error?.code === 'HIVE_RUNNER_UNAVAILABLE'
    for (const name of ['early', 'b', 'a']) await until(() => told(name), 25_000, `the trouble of ${name} is told`)
    assert.equal((await record('a')).state, 'running')
    assert.equal((await record('early')).state, 'preparing')
    await until(() => /times in a row/.test(hive.log()), 25_000, 'the circuit is open')
    const refused = await hive.call('POST', '/spawn', { kind: 'web', name: 'late' })
    assert.equal(refused.status, 503)
    assert.equal(refused.body.code, 'HIVE_RUNNER_UNAVAILABLE')
    await isAlive()
    assert.equal((await hive.call('GET', '/services')).body.services.length, 6)

    await engine.signal('SIGCONT')
    const isRunning = async () => (await record('early')).state === 'running'
    await until(isRunning, 30_000, 'the waiting launch goes on')
    for (const name of ['b', 'c', 'd'])
      await until(async () => (await hive.call('GET', `/services/${name}`)).status === 410, 30_000, `${name} is gone`)
    await until(async () => !(await told('a')), 30_000, 'the trouble is taken back')
    assert.deepEqual({ ...(await record('a')), revision: 0, observed_at: null }, { ...before, revision: 0 })
    const { body } = await engineRequest(engine.host, 'GET', '/containers/json?all=true')
    const ids = (body as { Id: string }[]).map(({ Id }) => Id)
    assert.deepEqual(new Set(ids), new Set([before.container_id, (await record('early')).container_id]))
    assert.equal(ids.length, 2, 'nothing is doubled')
    assert.equal(await visit('early'), 200)
  })

  it('F32: a Hive that comes up meanwhile serves what lives behind the engine, and says what it cannot know', async (t) => {
    const { engine, hive: first, reopen } = await openOnPrivateEngine(t, 'docker', { kinds: KINDS })
    const before = await first.spawn({ kind: 'web', name: 'a' })
    await first.spawn({ kind: 'web', name: 'b' })
    await first.close()
    await engine.signal('SIGSTOP')
    const hive = await reopen()
    const visit = (name: string) => fetch(`${hive.url}/cocoons/${name}/`, { signal: AbortSignal.timeout(5_000) })
    await until(async () => (await visit('a')).status === 200, 30_000, 'the cocoon is served')
    assert.equal((await hive.call('DELETE', '/services/b?wait=none')).status, 202)
    const record = async () => (await hive.call('GET', '/services/a')).body
    await until(async () => (await record()).error?.code === 'HIVE_RUNNER_UNAVAILABLE', 25_000, 'the trouble is told')
    assert.equal((await record()).state, 'running')
    await engine.signal('SIGCONT')
    await until(async () => (await hive.call('GET', '/services/b')).status === 410, 30_000, 'the removal is finished')
    await until(async () => (await record()).error === null, 30_000, 'the trouble is taken back')
    assert.equal((await record()).container_id, before.container_id)
    assert.equal((await visit('a')).status, 200)
  })
})
