import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES } from '../support/engines.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { HTTPD } from '../support/script-bench.ts'

/** Programs for each runner: one that crashes at once, one that serves, one that listens late. */
interface Programs {
  readonly runner: 'script' | 'docker' | 'podman'
  readonly skip: string | false
  readonly env: Readonly<Record<string, string>>
  readonly crash: object
  readonly serve: object
  readonly late: object
}

function container(name: 'docker' | 'podman'): Programs {
  const { type, host, skip } = engineOrSkip(name)
  const box = (image: string, more: object = {}) => ({ image, stop_grace: 0, ...more })
  return {
    runner: type,
    skip,
    env: { [name === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST']: host },
    crash: box(TEST_IMAGES.crashAfter, { environment: { AFTER: '0', CODE: '7' } }),
    serve: box(TEST_IMAGES.httpd, { port: 8080 }),
    late: box(TEST_IMAGES.listenLate, { port: 8080, environment: { AFTER: '2' } }),
  }
}

const node = JSON.stringify(process.execPath)
const script: Programs = {
  runner: 'script',
  skip: false,
  env: {},
  crash: { command: 'sh', args: ['-c', 'exit 7'] },
  serve: { command: process.execPath, args: [HTTPD], port: 8080 },
  late: { command: 'sh', args: ['-c', `sleep 2; exec ${node} ${JSON.stringify(HTTPD)}`], port: 8080 },
}

const SHORT = { policy: 'on-failure', max_attempts: 2, backoff_min: '50ms', backoff_max: '100ms' }

let first = 22_000 + Math.floor(Math.random() * 25) * 100

async function open(t: Parameters<typeof openHive>[0], programs: Programs): Promise<TestHive> {
  const kind = (id: string, config: object) => ({ id, runner_type: programs.runner, runner_config: config })
  first += 100
  return openHive(t, {
    env: { ...programs.env, HIVE_PORT_RANGE: `${first}-${first + 99}` },
    kinds: [
      kind('crash', { ...programs.crash, restart: SHORT }),
      kind('late', { ...programs.late, restart: 'never' }),
      kind('checked', {
        ...programs.serve,
        restart: SHORT,
        health_check: [
          { type: 'http', path: '/', interval: '100ms' },
          { type: 'tcp', interval: '100ms' },
          { type: 'cmd', command: ['sh', '-c', 'test ! -e /tmp/sick-$COCOON_NAME'], interval: '100ms', retries: 2 },
        ],
      }),
      kind('sleeper', { ...programs.serve, restart: 'never', idle_timeout: '1s', wake: true }),
    ],
  })
}

for (const programs of [script, container('docker'), container('podman')]) {
  describe(`the life of a cocoon of runner ${programs.runner}`, { skip: programs.skip }, () => {
    it('F57: one that always crashes is restarted, counted, and given up as a crash loop', async (t) => {
      const hive = await open(t, programs)
      await hive.call('POST', '/spawn', { kind: 'crash', name: 'web' })
      const record = await until(
        async () => {
          const { body } = await hive.call('GET', '/services/web')
          return body.exit?.reason === 'crash_loop' ? body : null
        },
        30_000,
        'giving up',
      )
      assert.deepEqual([record.state, record.attempt, record.restarts, record.exit.code], ['failed', 3, 2, 7])
    })

    it('ready is when its own listener is there, not when a publishing proxy accepts', async (t) => {
      const hive = await open(t, programs)
      const record = await hive.spawn({ kind: 'late' })
      assert.equal(record.ready, true)
      assert.ok((record.timings.ready_ms ?? 0) > 1_000, JSON.stringify(record.timings))
      assert.equal((await fetch(record.url ?? '')).status, 200)
    })

    it('http, tcp and cmd checks are all passed before it is ready, and stand in the transcript', async (t) => {
      const hive = await open(t, programs)
      const record = await hive.spawn({ kind: 'checked', name: 'web' })
      assert.equal(record.health, 'passing')
      const { body } = await hive.call('GET', '/services/web/health')
      assert.deepEqual([body.health, body.checks.length], ['passing', 3])
      for (const type of ['http', 'tcp', 'cmd'])
        assert.ok(
          body.probes.some((probe: { type: string; ok: boolean }) => probe.type === type && probe.ok),
          JSON.stringify(body.probes),
        )
    })

    it('an idle one is stopped and woken by a request', async (t) => {
      const hive = await open(t, programs)
      await hive.spawn({ kind: 'sleeper', name: 'web' })
      const { body } = await hive.call('GET', '/services/web?wait=stopped&timeout_s=20')
      assert.deepEqual([body.state, body.exit?.reason], ['stopped', 'idle'])
      assert.equal((await fetch(`${hive.url}/cocoons/web/`)).status, 200)
    })
  })
}
