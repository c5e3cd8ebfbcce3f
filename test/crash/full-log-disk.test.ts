import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { RecordingClient } from '../support/crash/client.ts'
import { fillDisk, noSmallDisk } from '../support/crash/small-disk.ts'
import { openWorld, type World } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

/** A state directory with a disk of its own below it. */
async function worldWithDisk(t: TestContext, name: string): Promise<{ readonly world: World; readonly disk: string }> {
  const world = await openWorld()
  const disk = join(world.directory, name)
  t.after(async () => {
    await world.close(true)
    execFileSync('umount', ['-l', disk])
    await rm(join(world.directory, '..'), { recursive: true, force: true })
  })
  mkdirSync(disk, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'hive-test', disk])
  return { world, disk }
}

async function said(client: RecordingClient): Promise<string> {
  return (await client.call('GET', '/services/a/logs?tail=1000'))?.text ?? ''
}

describe('only the disk of the logs is full', { skip: noSmallDisk() }, () => {
  for (const name of ['logs', 'run'] as const)
    it(`F9: <state>/${name} full: cocoons and the API go on, and logs come again with the space`, async (t) => {
      const { world, disk } = await worldWithDisk(t, name)
      const hive = await world.start()
      const client = world.client(hive)
      assert.equal((await client.create('script', 'a'))?.status, 201)
      await client.visit('a', 'say?text=before')
      await until(async () => (await said(client)).includes('before'), 10_000, 'it is logged')
      const giveBack = await fillDisk(disk)
      // Into a full disk of its own output a worker may write or not: what that does to it is its business.
      const path = name === 'logs' ? `say?text=${'full'.repeat(250)}` : ''
      for (let n = 0; n < 60; n++) assert.equal((await client.visit('a', path))?.status, 200)
      const record = (await client.show('a'))?.body
      assert.deepEqual([record.state, record.attempt], ['running', 1])
      assert.equal((await client.call('GET', '/livez'))?.status, 200)
      assert.ok((await said(client)).includes('before'), 'what is kept can be read')
      // A second cocoon is launched or refused in time with the reason, and never hangs.
      const other = await client.create('script', 'b', '?wait=ready&timeout_s=5')
      assert.ok(other !== null && [201, 202, 424].includes(other.status), other?.text)
      if (name === 'logs') assert.equal(other.status, 201)
      assert.equal((await client.remove('b'))?.body.state, 'removed')
      await giveBack()
      await until(
        async () => {
          await client.visit('a', 'say?text=after')
          return (await said(client)).includes('after')
        },
        30_000,
        'it is logged again',
      )
      assert.equal((await client.create('script', 'c'))?.status, 201)
      await world.check(hive)
    })
})
