import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { HiveEvent } from '../../src/events/event.ts'
import { until } from '../support/deadline.ts'
import { engineOrSkip, registryOrSkip } from '../support/engines.ts'
import { listen } from '../support/event-reader.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'
import { HTTPD } from '../support/script-bench.ts'

/** The events so far that a route tells, once there is one that is waited for. */
async function told(
  { t, hive }: { t: TestContext; hive: TestHive },
  query: string,
  enough: (events: readonly HiveEvent[]) => boolean,
): Promise<readonly HiveEvent[]> {
  const reader = listen(t, hive, `?after=0&${query}`)
  await until(() => enough(reader.events()), 30_000, `the events of ${query}`)
  reader.stop()
  await reader.done
  return reader.events()
}

test('health: starting, passing, failing and the end that comes of it are told, and the restart with its time', async (t) => {
  const sick = ['sh', '-c', 'test ! -e sick']
  const config = {
    command: process.execPath,
    args: [HTTPD],
    port: 8080,
    restart: { policy: 'on-failure', max_attempts: 2, backoff_min: '50ms', backoff_max: '100ms' },
    health_check: [{ type: 'cmd', command: sick, interval: '100ms', retries: 2 }],
  }
  const hive = await openHive(t, {
    kinds: [{ id: 'checked', runner_type: 'script', runner_config: config }],
    env: { HIVE_PORT_RANGE: ownPortRange() },
  })
  const { id } = await hive.spawn({ kind: 'checked', name: 'web' })
  // The check looks in its working directory.
  await writeFile(join(hive.directory, 'work', id, 'sick'), '')
  const restarts = await told({ t, hive }, 'name=web&type=restart', (events) => events.length >= 1)
  assert.equal(restarts[0]?.data['attempt'], 2)
  assert.ok(Number.isFinite(Date.parse(String(restarts[0]?.data['next_attempt_at']))))
  const health = await told({ t, hive }, 'name=web&type=health', (events) =>
    events.some(({ data }) => data['health'] === 'failing'),
  )
  assert.deepEqual(
    health.slice(0, 3).map(({ data }) => data['health']),
    ['starting', 'passing', 'failing'],
  )
  const exits = await told({ t, hive }, 'name=web&type=exit', (events) => events.length >= 1)
  assert.equal(exits[0]?.data['reason'], 'unhealthy')
})

for (const name of ['docker', 'podman'] as const) {
  const engine = engineOrSkip(name)
  const registry = registryOrSkip()
  test(`pull: ${name} tells how far it is`, { skip: engine.skip || registry.skip }, async (t) => {
    const config = { image: `${registry.plain}/hive-test/big:1`, pull: 'always', stop_grace: 0, restart: 'never' }
    const hive = await openHive(t, {
      kinds: [{ id: 'big', runner_type: name, runner_config: config }],
      env: {
        HIVE_PORT_RANGE: ownPortRange(),
        [name === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST']: engine.host,
      },
    })
    await hive.call('POST', '/spawn', { kind: 'big', name: 'web' })
    const [event] = await told({ t, hive }, 'name=web&type=pull', (events) => events.length >= 1)
    assert.equal(event?.data['phase'], 'pull')
    assert.deepEqual([event?.service?.name, event?.service?.attempt], ['web', 1])
    assert.equal(typeof event?.data['message'], 'string')
  })
}
