import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

const docker = process.env['HIVE_TEST_DOCKER_HOST']

interface KindText {
  readonly id: string
  readonly runner_type: string
  readonly runner_config: Readonly<Record<string, unknown>>
}

const kindsOf = (world: World): KindText[] => JSON.parse(world.env['COCOON_KINDS'] ?? '[]')

/** The next Hive, with other kinds. */
function startWith(world: World, kinds: readonly KindText[]) {
  return world.start({ env: { COCOON_KINDS: JSON.stringify(kinds) } })
}

async function made(world: World, client: ReturnType<World['client']>, names: readonly string[]): Promise<void> {
  for (const name of names) assert.equal((await client.create('script', name))?.status, 201, world.logs())
}

describe('COCOON_KINDS changes between two Hives', () => {
  it('F66: cocoons of a kind that is gone live on, restart as they were born, and can be stopped and removed', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    await made(world, world.client(first), ['lives', 'restarts', 'crashes', 'stops'])
    await first.end('SIGKILL')
    const workers = workersOf(world.run)
    const second = await startWith(world, [])
    const client = world.client(second)
    await world.check(second)
    assert.deepEqual(workersOf(world.run), workers)
    assert.equal((await client.create('script', 'new'))?.body.code, 'HIVE_KIND_UNKNOWN')
    assert.equal((await client.change('restart', 'restarts'))?.status, 200)
    await client.visit('crashes', 'exit?code=3')
    const again = async () => (await client.show('crashes'))?.body.attempt === 2
    await until(again, 20_000, 'its own policy restarts it')
    assert.equal((await client.change('stop', 'stops', '?wait=stopped'))?.body.state, 'stopped')
    assert.equal((await client.change('start', 'stops'))?.body.state, 'running')
    await world.check(second)
    for (const name of ['lives', 'restarts', 'crashes', 'stops']) assert.equal((await client.remove(name))?.status, 200)
    await world.check(second)
  })

  it('F66: a kind that changes its settings or its runner binds new cocoons only', async (t) => {
    const world = await worldOf(t, docker ? { engines: { docker } } : {})
    const first = await world.start()
    await made(world, world.client(first), ['old'])
    await first.end('SIGKILL')
    const changed = kindsOf(world).map((kind) => {
      if (kind.id !== 'script') return kind
      if (docker) return { ...(kindsOf(world).find(({ id }) => id === 'docker') ?? kind), id: 'script' }
      return { ...kind, runner_config: { ...kind.runner_config, stop_grace: '1s' } }
    })
    const second = await startWith(world, changed)
    const client = world.client(second)
    const created = (await client.create('script', 'new'))?.body as ServiceRecord
    assert.equal(created.runner, docker ? 'docker' : 'script')
    const old = (await client.change('restart', 'old'))?.body as ServiceRecord
    assert.deepEqual([old.runner, old.state, old.attempt, old.container_id], ['script', 'running', 2, null])
    await world.check(second)
    for (const name of ['old', 'new']) assert.equal((await client.remove(name))?.status, 200)
    await world.check(second)
  })
})
