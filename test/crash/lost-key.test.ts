import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { workersOf } from '../support/crash/live-processes.ts'
import { worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

const KEYS = [
  ['removed', (file: string) => rm(file)],
  ['another one', (file: string) => writeFile(file, `${'ab'.repeat(32)}\n`)],
] as const

describe('the key of the state directory is lost', () => {
  for (const [how, spoil] of KEYS)
    it(`F11: ${how}: Hive starts and says so, cocoons run on, and no restart is begun`, async (t) => {
      const world = await worldOf(t)
      const first = await world.start()
      const before = world.client(first)
      const request_id = 'sent before'
      const body = { kind: 'script', name: 'runs', request_id }
      assert.equal((await before.call('POST', '/spawn?wait=ready', body))?.status, 201)
      await before.create('script', 'rests')
      await before.change('stop', 'rests', '?wait=stopped')
      await first.end('SIGTERM')
      await spoil(join(world.directory, 'key'))
      const workers = workersOf(world.run)
      const second = await world.start()
      assert.match(second.output(), /"level":40.*key.*cannot be/)
      const client = world.client(second)
      await until(async () => (await client.visit('runs'))?.status === 200, 10_000, 'the route')
      for (const [verb, name] of [
        ['restart', 'runs'],
        ['start', 'rests'],
        ['restart', 'rests'],
      ] as const) {
        const refused = await client.change(verb, name)
        assert.deepEqual([refused?.status, refused?.body.code], [409, 'HIVE_SECRETS_LOST'], `${verb} ${name}`)
      }
      const repeated = await client.call('POST', '/spawn', body)
      assert.deepEqual([repeated?.status, repeated?.body.code], [409, 'HIVE_SECRETS_LOST'])
      assert.equal((await client.change('start', 'runs'))?.status, 200, 'what runs has been started')
      assert.deepEqual(workersOf(world.run), workers)
      assert.equal((await client.show('rests'))?.body.state, 'stopped')
      assert.equal((await client.create('script', 'fresh'))?.status, 201)
      assert.equal((await client.remove('runs'))?.status, 200)
      await world.check(second)
    })
})
