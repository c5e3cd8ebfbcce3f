import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { until } from '../support/deadline.ts'
import { keepContainers } from '../support/engine-store.ts'
import { json, openFakeEngine } from '../support/fake-engine.ts'
import { openHive } from '../support/hive.ts'

const IMAGE = 'localhost/box:1'

async function openBoth(t: TestContext) {
  const engine = await openFakeEngine(t)
  const store = keepContainers(engine)
  const kinds = [{ id: 'box', runner_type: 'docker', runner_config: { image: IMAGE, stop_grace: '10s' } }]
  const directory = await mkdtemp(join(tmpdir(), 'hive-amnesia-'))
  const hive = await openHive(t, { kinds, directory, env: { HIVE_DOCKER_HOST: engine.host } })
  const record = async (name: string) => (await hive.call('GET', `/services/${name}`)).body
  return { engine, store, hive, record, kinds }
}

/** Hooks run in the order they were given: this one after those of every Hive on it. */
function removeLater(t: TestContext, directory: string): void {
  t.after(() => rm(directory, { recursive: true, force: true }))
}

describe('an engine that forgets', { concurrency: true, timeout: 60_000 }, () => {
  it('F68: one empty list and one denial of each cocoon lose none of eight', async (t) => {
    const { engine, store, hive, kinds } = await openBoth(t)
    const names = Array.from({ length: 8 }, (_, index) => `c${index}`)
    for (const name of names) await hive.spawn({ kind: 'box', name })
    const listed = engine.fault(/^GET \/containers\/json/, json(200, []), false)
    const denied = engine.fault(/^GET \/containers\/\w+\/json/, json(404, { message: 'No such container' }), false)
    const waits = engine.fault(/^POST \/containers\/\w+\/wait/, json(404, { message: 'No such container' }), false)
    // A Hive that starts anew asks for everything at once.
    await hive.close()
    const env = { HIVE_DOCKER_HOST: engine.host }
    const next = await openHive(t, { kinds, env, directory: hive.directory })
    removeLater(t, hive.directory)
    await until(() => listed.hits > 0 && denied.hits >= names.length, 10_000, 'all are denied')
    for (const fault of [listed, denied, waits]) fault.mend()
    const settled = engine.calls.length
    await until(
      () => engine.calls.slice(settled).filter(({ line }) => /\/wait/.test(line)).length >= names.length,
      20_000,
      'all are waited for again',
    )
    for (const name of names) {
      const { state, attempt } = (await next.call('GET', `/services/${name}`)).body
      assert.deepEqual([state, attempt], ['running', 1], name)
    }
    assert.equal(store.containers.size, names.length)
    assert.equal(engine.calls.filter(({ line }) => line.startsWith('POST /containers/create')).length, names.length)
    // The fake ends before the Hives do.
    for (const name of names) assert.equal((await next.call('DELETE', `/services/${name}`)).status, 200)
  })

  it('F37: DELETE ends a pull that has stalled, lets go of the engine, and leaves nothing', async (t) => {
    const { engine, store, hive, record } = await openBoth(t)
    removeLater(t, hive.directory)
    engine.on('GET /images/', json(404, { message: 'No such image' }))
    engine.on('POST /images/create', (response) => {
      response.writeHead(200).write('{"status":"Downloading","id":"a","progressDetail":{"current":1,"total":9}}\n')
    })
    await hive.spawn({ kind: 'box', name: 'slow' }, '')
    await until(async () => (await record('slow')).progress?.current_bytes === 1, 10_000, 'the pull is under way')
    const pulling = engine.open.size
    assert.ok(pulling > 0)
    assert.equal((await hive.call('DELETE', '/services/slow')).status, 200)
    assert.equal((await hive.call('GET', '/services/slow')).status, 410)
    await until(() => engine.open.size < pulling, 5_000, 'the connection of the pull is closed')
    assert.equal(store.containers.size, 0)
  })

  it('F31: a DELETE while the engine is down is kept over a restart of Hive, and done when both are back', async (t) => {
    const { engine, store, hive, record } = await openBoth(t)
    await hive.spawn({ kind: 'box', name: 'a' })
    const down = engine.fault(/./, (response) => void response.socket?.destroy(), false)
    for (const socket of engine.open) socket.destroy()
    assert.equal((await hive.call('DELETE', '/services/a?wait=none')).status, 202)
    await until(async () => (await record('a')).state === 'stopping', 10_000, 'it is being stopped')
    await hive.close()
    const env = { HIVE_DOCKER_HOST: engine.host }
    const next = await openHive(t, { kinds: [], env, directory: hive.directory })
    removeLater(t, hive.directory)
    assert.equal((await next.call('GET', '/services/a')).body.desired, 'removed', 'its kind need not exist any more')
    assert.equal(store.containers.size, 1)
    down.mend()
    await until(async () => (await next.call('GET', '/services/a')).status === 410, 30_000, 'it is gone')
    assert.equal(store.containers.size, 0)
  })
})
