import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { ALL, notDrawn, SEED } from '../support/crash/seed.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'

const NOTICED_MS = 5_000
const WORKER = new URL('../support/fixtures/crash-worker.mjs', import.meta.url).pathname
const health_check = { type: 'http', path: '/', interval: '200ms', timeout: '300ms', retries: 2 }

/** Somebody who lays hands on a cocoon without asking Hive. */
interface Hand {
  pause(world: World, record: ServiceRecord): Promise<void> | void
  resume(world: World, record: ServiceRecord): Promise<void> | void
}

const signal = (name: NodeJS.Signals) => (world: World) => {
  for (const { pid } of workersOf(world.run)) process.kill(pid, name)
}

/** cgroups(7): cgroup.freeze of the v2 leaf that the worker is in. */
const freeze = (value: '0' | '1') => (world: World) => {
  for (const { pid } of workersOf(world.run)) {
    const path = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? ''
    writeFileSync(join(cgroupRoot(), path, 'cgroup.freeze'), value)
  }
}

const cgroupRoot = () => (/^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [])[1] ?? ''
const engine =
  (host: string, verb: 'pause' | 'unpause') =>
  async (_: World, { container_id }: ServiceRecord) => {
    assert.equal((await engineRequest(host, 'POST', `/containers/${container_id}/${verb}`)).status, 204)
  }

const { HIVE_TEST_DOCKER_HOST: docker = '', HIVE_TEST_PODMAN_HOST: podman = '' } = process.env
const HANDS: readonly (readonly [what: string, kind: string, host: string | null, hand: Hand])[] = [
  ['a script stopped by SIGSTOP', 'script', null, { pause: signal('SIGSTOP'), resume: signal('SIGCONT') }],
  ['a script whose cgroup is frozen', 'script', null, { pause: freeze('1'), resume: freeze('0') }],
  [
    'a container paused in docker',
    'docker',
    docker,
    { pause: engine(docker, 'pause'), resume: engine(docker, 'unpause') },
  ],
  [
    'a container paused in podman',
    'podman',
    podman,
    { pause: engine(podman, 'pause'), resume: engine(podman, 'unpause') },
  ],
]

const skipped = notDrawn(2, HANDS.length)

describe(`a cocoon is paused behind the back of Hive (${ALL ? 'all' : `sample of seed ${SEED}`})`, () => {
  for (const [index, [what, kind, host, hand]] of HANDS.entries()) {
    const skip = skipped(index) || (host === '' && `no ${kind}`)
    it(`F36: ${what} is said to be, keeps its state, and runs on`, { skip }, async (t) => {
      const checked = { command: process.execPath, args: [WORKER], port: 8080, stop_grace: '2s', health_check }
      const world = await worldOf(t, host ? { engines: { [kind]: host } } : {})
      const kinds = JSON.parse(world.env['COCOON_KINDS'] ?? '[]').map((one: { id: string; runner_config: object }) =>
        one.id === kind
          ? { ...one, runner_config: { ...(kind === 'script' ? checked : {}), ...one.runner_config, health_check } }
          : one,
      )
      const hive = await world.start({ env: { COCOON_KINDS: JSON.stringify(kinds) } })
      const client = world.client(hive)
      const before = (await client.create(kind, 'a'))?.body as ServiceRecord
      assert.equal(before.state, 'running')
      const record = async () => (await client.show('a'))?.body as ServiceRecord
      await hand.pause(world, before)
      t.after(() => Promise.resolve(hand.resume(world, before)).catch(() => undefined)) // it may be gone
      const said = async () => (await record()).error?.code === 'HIVE_COCOON_PAUSED'
      await until(said, NOTICED_MS, 'it is said to be paused')
      const refused = await client.visit('a')
      assert.deepEqual([refused?.status, /it is paused/.test(refused?.text ?? '')], [503, true], refused?.text)
      // Longer than its checks need to fail: they are not held against it.
      await until(
        async () => (await health(client, 'a')).filter(({ ok }) => !ok).length >= 6,
        20_000,
        'its checks fail',
      )
      const paused = await record()
      assert.deepEqual([paused.state, paused.attempt, paused.exit], ['running', 1, null])
      await hand.resume(world, before)
      await until(async () => (await client.visit('a'))?.status === 200, NOTICED_MS + 5_000, 'it serves again')
      const after = await record()
      assert.deepEqual([after.attempt, after.pid, after.error], [1, before.pid, null])
      await world.check(hive)

      await hand.pause(world, before)
      await until(said, NOTICED_MS, 'it is said to be paused again')
      assert.equal((await client.remove('a'))?.body.state, 'removed')
      await world.check(hive)
    })
  }
})

async function health(client: ReturnType<World['client']>, name: string): Promise<readonly { readonly ok: boolean }[]> {
  return (await client.call('GET', `/services/${name}/health`))?.body.probes ?? []
}
