import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { containersOf } from '../support/crash/engine-objects.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { beforeLaunch, rewriteRows } from '../support/crash/take-back.ts'
import { type World, worldOf } from '../support/crash/world.ts'

const ENGINES = {
  script: undefined,
  docker: process.env['HIVE_TEST_DOCKER_HOST'],
  podman: process.env['HIVE_TEST_PODMAN_HOST'],
}

describe('the table is taken back to before a launch', () => {
  for (const [kind, host] of Object.entries(ENGINES)) {
    const skip = kind !== 'script' && host === undefined ? `there is no ${kind}` : false
    it(`F11: a cocoon of ${kind} is adopted with the ports it has`, { skip }, async (t) => {
      const world = await worldOf(t, host === undefined ? {} : { engines: { [kind]: host } })
      const first = await world.start()
      const before = await ready(world.client(first).create(kind, 'a'))
      await first.end('SIGKILL')
      const objects = await objectsOf(world, host)
      rewriteRows(world.directory, beforeLaunch)
      world.ledger.seen.clear()
      const second = await world.start()
      const client = world.client(second)
      const after = await ready(client.show('a', '?wait=ready&timeout_s=20'))
      assert.equal(after.attempt, before.attempt)
      assert.deepEqual(after.ports, before.ports)
      assert.deepEqual(await objectsOf(world, host), objects)
      await world.check(second)
      // What was leased in their place is free for others: the next one gets along, and so does a restart.
      await ready(client.create(kind, 'b'))
      await ready(client.change('restart', 'a'))
      await world.check(second)
    })
  }
})

async function ready(reply: ReturnType<ReturnType<World['client']>['call']>): Promise<ServiceRecord> {
  const answer = await reply
  assert.equal(answer?.body?.state, 'running', answer?.text)
  assert.equal(answer?.body?.ready, true, answer?.text)
  return answer?.body
}

async function objectsOf(world: World, host: string | undefined): Promise<readonly unknown[]> {
  return host === undefined ? workersOf(world.run) : containersOf(host, await world.instance())
}
