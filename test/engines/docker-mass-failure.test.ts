import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../support/deadline.ts'
import { TEST_IMAGES } from '../support/engines.ts'
import { openOnPrivateEngine, privateEngineSkip } from '../support/private-engine.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
const KINDS = [
  {
    id: 'web',
    runner_type: 'docker',
    runner_config: {
      image: TEST_IMAGES.httpd,
      port: 8080,
      stop_grace: 0,
      restart: { policy: 'always', backoff_min: '100ms', backoff_max: '200ms' },
      // Runs through the engine, so that all fail at once when it hangs. A busy machine alone must not make them fail.
      health_check: { type: 'cmd', command: ['true'], interval: '200ms', timeout: '2s', retries: 3 },
    },
  },
]

describe('the checks of many containers', { skip: privateEngineSkip('docker'), timeout: 110_000 }, () => {
  it('F56: all fail while dockerd hangs, and none is restarted, then or when it goes on', async (t) => {
    const { engine, hive } = await openOnPrivateEngine(t, 'docker', { kinds: KINDS })
    for (const name of NAMES) await hive.spawn({ kind: 'web', name })
    const probes = async (name: string) =>
      (await hive.call('GET', `/services/${name}/health`)).body.probes as { ok: boolean; time: string }[]
    const all = async (wanted: (name: string) => Promise<boolean>) =>
      (await Promise.all(NAMES.map(wanted))).every(Boolean)

    await engine.signal('SIGSTOP')
    const since = Date.now()
    const failures = async (name: string) =>
      (await probes(name)).filter(({ ok, time }) => !ok && Date.parse(time) > since).length
    await until(() => all(async (name) => (await failures(name)) >= 3), 60_000, 'failing probes of all')
    await engine.signal('SIGCONT')
    const back = Date.now()
    const passes = async (name: string) =>
      (await probes(name)).filter(({ ok, time }) => ok && Date.parse(time) > back).length
    await until(() => all(async (name) => (await passes(name)) >= 5), 40_000, 'passing probes of all')
    for (const name of NAMES) {
      const { body } = await hive.call('GET', `/services/${name}`)
      assert.deepEqual([body.state, body.attempt, body.restarts, body.health], ['running', 1, 0, 'passing'], name)
    }
  })
})
