import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { describe, it, type TestContext } from 'node:test'
import { until } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { TEST_IMAGES } from '../support/engines.ts'
import type { TestHive } from '../support/hive.ts'
import { longSkip, openOnPrivateEngine, type PrivateEngine, privateEngineSkip } from '../support/private-engine.ts'

/** Everything is as it should be at the latest this long after the engine is back. */
const CONVERGED_MS = 30_000
const KINDS = [
  {
    id: 'web',
    runner_type: 'docker',
    runner_config: { image: TEST_IMAGES.httpd, port: 8080, stop_grace: '1s', restart: 'never' },
  },
]

const openBoth = (t: TestContext, options: readonly string[] = []) =>
  openOnPrivateEngine(t, 'docker', { options, kinds: KINDS })

const record = async (hive: TestHive, name: string) => (await hive.call('GET', `/services/${name}`)).body

const visit = async (hive: TestHive, name: string) =>
  (await fetch(`${hive.url}/cocoons/${name}/`, { signal: AbortSignal.timeout(5_000) })).status

/** Ids of all containers of the engine, running or not. */
async function containers(engine: PrivateEngine): Promise<string[]> {
  const { body } = await engineRequest(engine.host, 'GET', '/containers/json?all=true')
  return (body as { Id: string }[]).map(({ Id }) => Id)
}

const unavailable = (hive: TestHive) =>
  until(async () => !(await hive.call('GET', '/kinds/web')).body.available, 20_000, 'the kind is not available')

const available = (hive: TestHive) =>
  until(async () => (await hive.call('GET', '/kinds/web')).body.available, CONVERGED_MS, 'the kind is available')

describe('dockerd goes away and comes back', { skip: privateEngineSkip('docker'), timeout: 110_000 }, () => {
  it('F31: with live restore cocoons live on, are proxied to, and none is restarted or doubled', async (t) => {
    // Docker's own proxy for published ports would end with it.
    const { engine, hive } = await openBoth(t, ['--live-restore', '--userland-proxy=false'])
    const before = [await hive.spawn({ kind: 'web', name: 'a' }), await hive.spawn({ kind: 'web', name: 'b' })]
    await engine.signal('SIGTERM')
    await until(async () => (await record(hive, 'a')).error?.code === 'HIVE_RUNNER_UNAVAILABLE', 10_000, 'it is said')
    assert.equal((await record(hive, 'a')).state, 'running')
    assert.equal(await visit(hive, 'a'), 200)
    await unavailable(hive)
    const refused = await hive.call('POST', '/spawn', { kind: 'web', name: 'c' })
    assert.equal(refused.status, 503)
    assert.equal((await hive.call('GET', '/services/c')).status, 404, 'nothing was stored')
    const removal = await hive.call('DELETE', '/services/b?wait=none')
    assert.equal(removal.status, 202)
    assert.equal((await record(hive, 'b')).desired, 'removed')

    await engine.up()
    const gone = await until(
      async () => ((await hive.call('GET', '/services/b')).status === 410 ? true : null),
      CONVERGED_MS,
      'the removal is finished',
    )
    assert.ok(gone)
    const after = await until(
      async () => {
        const row = await record(hive, 'a')
        return row.error === null ? row : null
      },
      CONVERGED_MS,
      'the trouble is taken back',
    )
    const { state, attempt, container_id, started_at, pid } = before[0] as (typeof before)[0]
    assert.deepEqual(
      { ...after, revision: 0, observed_at: null, error: null },
      { ...before[0], revision: 0, observed_at: null, error: null },
      `${state} ${attempt} ${started_at} ${pid}`,
    )
    assert.deepEqual(await containers(engine), [container_id])
    assert.equal(await visit(hive, 'a'), 200)
    await available(hive)
    await hive.spawn({ kind: 'web', name: 'c' })
    assert.equal(await visit(hive, 'c'), 200)
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    it(`F31: without live restore ${signal} ends the cocoon, and its end is told, not a loss`, {
      skip: signal === 'SIGKILL' && longSkip('docker'),
    }, async (t) => {
      const { engine, hive } = await openBoth(t)
      const { container_id } = await hive.spawn({ kind: 'web', name: 'a' })
      await engine.signal(signal)
      await until(async () => (await visit(hive, 'a')) >= 500, 10_000, 'the proxy says that it is gone')
      await engine.up()
      const ended = await until(
        async () => {
          const row = await record(hive, 'a')
          return row.ended_at === null ? null : row
        },
        CONVERGED_MS,
        'the end is known',
      )
      assert.equal(ended.state, 'failed')
      assert.notEqual(ended.exit.reason, 'lost')
      assert.notEqual(ended.exit.code, 0)
      assert.deepEqual(await containers(engine), [container_id], 'nothing else was started')
      const again = await hive.call('POST', '/services/a/start?wait=ready&timeout_s=30')
      assert.equal(again.body.container_id, container_id, 'the same container is started again')
      assert.equal(await visit(hive, 'a'), 200)
    })

  it('what is lost by proof and then reappears is removed, never adopted', { skip: longSkip('docker') }, async (t) => {
    const { engine, hive } = await openBoth(t, ['--live-restore'])
    const { container_id } = await hive.spawn({ kind: 'web', name: 'a' })
    await engineRequest(engine.host, 'POST', `/containers/${container_id}/pause`)
    const [stored, away] = ['data/containers', 'data/away'].map((path) => `${engine.directory}/docker/${path}`) as [
      string,
      string,
    ]
    await engine.signal('SIGKILL')
    await rename(`${stored}/${container_id}`, away)
    await engine.up()
    const lost = await until(
      async () => {
        const row = await record(hive, 'a')
        return row.ended_at === null ? null : row
      },
      CONVERGED_MS,
      'the loss is proven',
    )
    assert.equal(lost.state, 'lost')
    await engine.signal('SIGKILL')
    await rename(away, `${stored}/${container_id}`)
    await engine.up()
    assert.deepEqual(await containers(engine), [container_id], 'it is there again')
    await until(async () => (await containers(engine)).length === 0, 45_000, 'what reappeared is removed')
    assert.equal((await record(hive, 'a')).state, 'lost')
  })
})
