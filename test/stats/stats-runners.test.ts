import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { main } from '../../src/cli/main.ts'
import { until } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES } from '../support/engines.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'

interface Runner {
  readonly name: 'script' | 'docker' | 'podman'
  readonly skip: string | false
  readonly env: Readonly<Record<string, string>>
  readonly config: Readonly<Record<string, unknown>>
}

const program = ['-c', 'while :; do :; done']
const docker = engineOrSkip('docker')
const podman = engineOrSkip('podman')
const box = { image: TEST_IMAGES.sleep, command: ['sh'], args: program, stop_grace: 0 }
const resources = { memory: '64m' }

const RUNNERS: readonly Runner[] = [
  { name: 'script', skip: false, env: {}, config: { command: 'sh', args: program, stop_grace: 0, resources } },
  { name: 'docker', skip: docker.skip, env: { HIVE_DOCKER_HOST: docker.host }, config: { ...box, resources } },
  { name: 'podman', skip: podman.skip, env: { HIVE_PODMAN_HOST: podman.host }, config: { ...box, resources } },
]

const KEYS = [
  'at',
  'attempt',
  'cpu_seconds',
  'cpu_percent',
  'memory_bytes',
  'memory_limit_bytes',
  'processes',
  'threads',
  'open_files',
  'network_rx_bytes',
  'network_tx_bytes',
  'unknown',
]

async function command(hive: TestHive, ...argv: string[]) {
  const wrote = { code: 0, out: '', err: '' }
  const stdout = { write: (text: string) => (wrote.out += text) }
  const stderr = { write: (text: string) => (wrote.err += text) }
  wrote.code = await main(argv, { HIVE_URL: hive.url, HIVE_TOKEN: hive.token }, { stdout, stderr, version: 'test' })
  return wrote
}

for (const { name: runner, skip, env, config } of RUNNERS)
  describe(`stats of ${runner}`, { skip }, () => {
    it('a busy cocoon shows its cpu, its memory limit, and one shape in route, command line and post-mortem', async (t) => {
      const kinds = [{ id: 'busy', runner_type: runner, runner_config: { ...config, restart: 'never' } }]
      const hive = await openHive(t, {
        kinds,
        env: { ...env, HIVE_PORT_RANGE: ownPortRange() },
        statsIntervalMs: 300,
      })
      await hive.spawn({ kind: 'busy', name: 'busy' })
      const stats = async () => (await hive.call('GET', '/services/busy/stats')).body
      const { current } = await until(
        async () => ((await stats()).current?.cpu_percent > 1 ? stats() : null),
        30_000,
        'cpu',
      )
      assert.deepEqual(Object.keys(current), KEYS)
      // A script is limited by a cgroup only where one has the controller.
      if (!('memory_limit' in current.unknown)) assert.equal(current.memory_limit_bytes, 64 * 1024 * 1024)
      assert.equal(current.network_rx_bytes === null, runner === 'script')
      const shown = await command(hive, 'stats', 'busy')
      assert.match(shown.out, /^at {10}.*\ncpu {9}\d.* % of a processor, \d+\.\d\d s in all\nmemory {6}\d/)
      assert.match(shown.out, runner === 'script' ? /network {5}- \(a native process/ : /network {5}\d.* in, .* out/)
      const listed = JSON.parse((await command(hive, 'stats', 'busy', '--json')).out)
      assert.deepEqual(Object.keys(listed), ['current', 'history', 'interval_ms'])
      await hive.call('DELETE', '/services/busy')
      const { body } = await hive.call('GET', '/services/busy/post-mortem')
      assert.deepEqual(Object.keys(body.stats), KEYS)
      assert.ok(body.stats.cpu_seconds > 0)
      assert.match((await command(hive, 'show', 'busy', '--post-mortem')).out, /\nlast stats\nat {10}/)
    })
  })
