import assert from 'node:assert/strict'
import { rename, rm, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { until } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { TEST_IMAGES } from '../support/engines.ts'
import type { TestHive } from '../support/hive.ts'
import { longSkip, openOnPrivateEngine, privateEngineSkip } from '../support/private-engine.ts'

const NOTICED_MS = 5_000
const CONVERGED_MS = 30_000
const kindsOf = (type: 'docker' | 'podman') =>
  (['never', 'on-failure'] as const).map((restart) => ({
    id: restart === 'never' ? 'web' : 'stubborn',
    runner_type: type,
    runner_config: { image: TEST_IMAGES.httpd, port: 8080, stop_grace: '1s', restart },
  }))

const record = async (hive: TestHive, name: string) => (await hive.call('GET', `/services/${name}`)).body
const visit = async (hive: TestHive, name: string) =>
  (await fetch(`${hive.url}/cocoons/${name}/`, { signal: AbortSignal.timeout(5_000) })).status
const isUp = async (hive: TestHive) => (await hive.call('GET', '/kinds/web')).body.available === true

for (const type of ['docker', 'podman'] as const)
  describe(`${type} in the hands of others`, { skip: privateEngineSkip(type), timeout: 110_000 }, () => {
    it('F36: what is stopped, renamed, paused or removed outside Hive is noticed and not undone', {
      skip: type === 'podman' && longSkip(type),
    }, async (t) => {
      const { engine, hive } = await openOnPrivateEngine(t, type, { kinds: kindsOf(type) })
      for (const name of ['stopped', 'renamed', 'removed']) await hive.spawn({ kind: 'web', name })
      const act = async (name: string, verb: string) => {
        const path = `/containers/${(await record(hive, name)).container_id}`
        const { status } = await engineRequest(
          engine.host,
          verb === 'DELETE' ? verb : 'POST',
          `${path}${verb === 'DELETE' ? '?force=true' : verb}`,
        )
        assert.ok(status < 300, `${verb} answered ${status}`)
      }
      const ended = async (name: string) =>
        until(async () => (await record(hive, name)).ended_at !== null, NOTICED_MS, `the end of ${name} is noticed`)
      await act('stopped', '/stop?t=1')
      await ended('stopped')
      assert.equal((await record(hive, 'stopped')).state, 'failed')
      const { container_id } = await hive.spawn({ kind: 'stubborn', name: 'stubborn' })
      await act('stubborn', '/stop?t=1')
      const isBack = async () => (await record(hive, 'stubborn')).ready && (await visit(hive, 'stubborn')) === 200
      await until(async () => (await record(hive, 'stubborn')).attempt === 2 && isBack(), 20_000, 'its policy acts')
      assert.equal((await record(hive, 'stubborn')).container_id, container_id)
      await act('removed', 'DELETE')
      await ended('removed')
      assert.match((await record(hive, 'removed')).state, /^(?:failed|lost)$/)
      await act('renamed', '/rename?name=somebody-else')
      await act('renamed', '/pause')
      assert.equal((await record(hive, 'renamed')).state, 'running')
      await act('renamed', '/unpause')
      await until(async () => (await visit(hive, 'renamed')) === 200, NOTICED_MS, 'it serves again')
      const first = (await record(hive, 'renamed')).container_id
      await hive.call('POST', '/services/renamed/restart?wait=ready&timeout_s=30')
      const again = await record(hive, 'renamed')
      assert.deepEqual([again.container_id, again.attempt], [first, 2], 'the renamed one is found by its id')
      for (const name of ['stopped', 'removed']) assert.equal((await record(hive, name)).attempt, 1)
      assert.equal((await record(hive, 'stubborn')).attempt, 2, 'once')
      for (const name of ['stopped', 'renamed', 'removed', 'stubborn'])
        assert.equal((await hive.call('DELETE', `/services/${name}`)).status, 200)
      const { body } = await engineRequest(engine.host, 'GET', '/containers/json?all=true')
      assert.deepEqual(body, [])
    })

    it('F33: its socket removed, replaced by a file, its service killed: said with the reason, and taken up again', {
      skip: type === 'docker' && longSkip(type),
    }, async (t) => {
      const { engine, hive } = await openOnPrivateEngine(t, type, {
        kinds: kindsOf(type),
        options: type === 'docker' ? ['--live-restore', '--userland-proxy=false'] : [],
      })
      const before = await hive.spawn({ kind: 'web', name: 'a' })
      const reason = async () => (await hive.call('GET', '/kinds/web')).body.reason ?? ''
      const away = `${engine.socket}.away`
      await rename(engine.socket, away)
      await until(async () => /no such socket/.test(await reason()), 15_000, 'the reason is told')
      assert.equal((await hive.call('POST', '/spawn', { kind: 'web' })).status, 503)
      await writeFile(engine.socket, '')
      await until(async () => /nobody listens|not a socket/.test(await reason()), 15_000, 'the other reason is told')
      assert.equal((await record(hive, 'a')).state, 'running')
      await rm(engine.socket)
      await rename(away, engine.socket)
      await until(() => isUp(hive), CONVERGED_MS, 'it is used again')

      await engine.signal('SIGKILL')
      await until(async () => (await record(hive, 'a')).error?.code === 'HIVE_RUNNER_UNAVAILABLE', 10_000, 'it is said')
      assert.equal(await visit(hive, 'a'), 200, 'the cocoon lives on')
      await engine.up()
      await until(async () => (await record(hive, 'a')).error === null, CONVERGED_MS, 'the trouble is taken back')
      const after = await record(hive, 'a')
      for (const key of ['state', 'attempt', 'container_id', 'pid', 'started_at'] as const)
        assert.equal(after[key], before[key], key)
      assert.equal(await visit(hive, 'a'), 200)
    })
  })
