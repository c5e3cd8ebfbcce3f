import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { RecordingClient, Reply } from '../support/crash/client.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { fillDisk, noSmallDisk, smallDisk } from '../support/crash/small-disk.ts'
import { injecting, noStrace } from '../support/crash/strace.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

/** Spawns until one is refused: what little room is left in files that are there already is used up first. */
async function createUntilRefused(client: RecordingClient): Promise<Reply> {
  for (let n = 0; n < 400; n++) {
    const reply = await client.create('script', `filler-${n}`, '')
    assert.ok(reply, 'Hive does not answer')
    if (reply.status >= 300) return reply
    await client.remove(`filler-${n}`)
  }
  return assert.fail('the disk never got full')
}

function runDirectories({ directory }: World): string[] {
  return readdirSync(join(directory, 'run'))
}

describe('the disk', { skip: noSmallDisk() || noStrace() }, () => {
  it('F8: full: a create is refused with 507 and nothing is made; reads and proxying go on; it recovers', async (t) => {
    const parent = await smallDisk(t, 8)
    const world = await worldOf(t, { parent })
    const hive = await world.start()
    const client = world.client(hive)
    assert.equal((await client.create('script', 'before'))?.status, 201)
    const giveBack = await fillDisk(parent)
    const refused = await createUntilRefused(client)
    assert.deepEqual({ status: refused.status, code: refused.body.code }, { status: 507, code: 'HIVE_STORE_FULL' })
    const made = { directories: runDirectories(world).length, workers: workersOf(world.run).length }
    const again = await client.create('script', 'late')
    assert.equal(again?.status, 507)
    assert.deepEqual({ directories: runDirectories(world).length, workers: workersOf(world.run).length }, made)
    assert.equal((await client.visit('before'))?.status, 200)
    assert.equal((await client.show('before'))?.status, 200)
    assert.equal((await client.call('GET', '/readyz'))?.status, 503)
    const removal = await client.remove('before')
    assert.ok([200, 202, 507].includes(removal?.status ?? 0), `DELETE answered ${removal?.status}`)
    await giveBack()
    await until(async () => (await client.call('GET', '/readyz'))?.status === 200, 15_000, 'recovery')
    assert.equal((await client.create('script', 'after'))?.status, 201)
    await world.check(hive)
  })

  for (const [row, error, calls] of [
    ['F7', 'EIO', 'fsync,fdatasync'],
    ['F10', 'EROFS', 'pwrite64'],
  ])
    it(`${row}: ${error} on every ${calls} for a while: 503, nothing is made, the rest goes on; it recovers`, async (t) => {
      const world = await worldOf(t)
      const wrapper = injecting(calls ?? '', `error=${error}:when=${calls === 'pwrite64' ? '150..163' : '45..56'}`)
      const hive = await world.start({ wrapper })
      const client = world.client(hive)
      assert.equal((await client.create('script', 'before'))?.status, 201)
      const refused = await createUntilRefused(client)
      assert.deepEqual({ status: refused.status, code: refused.body.code }, { status: 503, code: 'HIVE_STORE_FAILED' })
      assert.equal((await client.visit('before'))?.status, 200)
      assert.equal((await client.show('before'))?.status, 200)
      assert.equal((await client.call('GET', '/readyz'))?.status, 503)
      await until(async () => (await client.call('GET', '/readyz'))?.status === 200, 60_000, 'recovery')
      assert.equal((await client.create('script', 'after'))?.status, 201)
      await world.check(hive)
      await hive.end('SIGKILL')
      await world.check(await world.start())
    })
})

describe('the state directory', () => {
  it('F11: away under a running Hive: 503, nothing is made, reads and proxying go on; it recovers', async (t) => {
    const world = await worldOf(t)
    const hive = await world.start()
    const client = world.client(hive)
    assert.equal((await client.create('script', 'before'))?.status, 201)
    const away = `${world.directory}-away`
    await rename(world.directory, away)
    await until(async () => (await client.call('GET', '/readyz'))?.status === 503, 15_000, 'the word of it')
    assert.equal((await client.create('script', 'late'))?.body.code, 'HIVE_STORE_FAILED')
    assert.equal(workersOf(world.run).length, 1)
    for (const path of ['', 'say?text=hello']) assert.equal((await client.visit('before', path))?.status, 200)
    assert.equal((await client.show('before'))?.body.state, 'running')
    const putBack = async () => {
      // What it wrote meanwhile for want of the real one.
      await rm(world.directory, { recursive: true, force: true })
      await rename(away, world.directory)
      return true
    }
    await until(putBack, 5_000, 'the return')
    await until(async () => (await client.call('GET', '/readyz'))?.status === 200, 15_000, 'recovery')
    assert.equal((await client.create('script', 'after'))?.status, 201)
    await world.check(hive)
  })
})
