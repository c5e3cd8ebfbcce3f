import assert from 'node:assert/strict'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { containersOf } from '../support/crash/engine-objects.ts'
import { HiveEnded } from '../support/crash/hive-process.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until, within } from '../support/deadline.ts'

const docker = process.env['HIVE_TEST_DOCKER_HOST']
const podman = process.env['HIVE_TEST_PODMAN_HOST']

/** What a table that was lost leaves behind. */
async function loseTable({ directory }: World): Promise<void> {
  for (const name of ['hive.db', 'hive.db-wal', 'hive.db-shm', 'lock.db'])
    await rm(join(directory, name), { force: true })
}

describe('one state directory, one Hive', () => {
  it('F12: a second Hive ends at once and says why; the first goes on; a dead one leaves no lock', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    const created = await world.client(first).create('script', 'first')
    assert.equal(created?.status, 201)
    await assert.rejects(world.start(), (error: unknown) => {
      assert.ok(error instanceof HiveEnded, String(error))
      assert.equal(error.end.code, 73)
      assert.match(error.output, /another Hive uses this state directory.*HIVE_STATE_DIR/)
      return true
    })
    assert.equal((await world.client(first).create('script', 'second'))?.status, 201)
    await world.check(first)
    await first.end('SIGKILL')
    await world.check(await world.start())
  })

  it('F12: whoever takes the files away lets no second Hive in, or, with the table, ends the first', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    assert.equal((await world.client(first).create('script', 'first'))?.status, 201)
    const workers = workersOf(world.run)
    await rm(join(world.directory, 'lock.db'))
    await assert.rejects(world.start(), /another Hive uses this state directory/)
    assert.equal((await world.client(first).change('restart', 'first'))?.status, 200)
    await loseTable(world)
    const second = await world.start()
    assert.deepEqual(await within(first.ended, 20_000, 'the end of the first'), { code: 73, signal: null })
    assert.match(first.output(), /"level":60.*hive\.db was replaced/)
    assert.equal(workersOf(world.run).length, workers.length, 'its cocoon lives on')
    world.ledger.created.clear()
    world.ledger.seen.clear()
    assert.equal((await world.client(second).call('POST', '/orphans/reap'))?.body.reaped.length, 1)
    await world.check(second)
  })

  it('F11: an emptied instance_id, key and token: it is the same Hive again, and owns what it owned', async (t) => {
    const world = await worldOf(t)
    const before = await world.start()
    assert.equal((await world.client(before).create('script', 'mine'))?.status, 201)
    const [workers, instance] = [workersOf(world.run), await world.instance()]
    await before.end('SIGTERM')
    for (const name of ['instance_id', 'key', 'token']) await writeFile(join(world.directory, name), '')
    const hive = await world.start()
    for (const name of ['instance_id', 'key', 'token'])
      assert.match(hive.output(), new RegExp(`"level":40.*${name} was not there`))
    const client = world.client(hive)
    await until(async () => (await client.visit('mine'))?.status === 200, 10_000, 'its route')
    assert.deepEqual((await client.call('GET', '/orphans'))?.body.orphans, [])
    assert.deepEqual([workersOf(world.run), await world.instance()], [workers, instance])
    assert.equal((await client.change('restart', 'mine'))?.body.code, 'HIVE_SECRETS_LOST')
    await world.check(hive)
  })

  it('F11: a lost, foreign or newer table is refused with advice, and nothing of the cocoons is touched', async (t) => {
    const world = await worldOf(t)
    const hive = await world.start()
    await world.client(hive).create('script', 'lives')
    await hive.end('SIGTERM')
    const workers = workersOf(world.run)
    const file = join(world.directory, 'hive.db')
    const good = await readFile(file)
    const spoils = [
      ['lost', () => rename(file, `${file}.away`), /missing/],
      ['garbage', () => writeFile(file, 'what is this'.repeat(1000)), /not a database/],
      ['torn', () => writeFile(file, good.subarray(0, good.length / 2)), /damaged|malformed/],
    ] as const
    for (const [how, spoil, said] of spoils) {
      await spoil()
      await assert.rejects(world.start(), (error: unknown) => {
        assert.ok(error instanceof HiveEnded, `${how}: ${error}`)
        assert.equal(error.end.code, 73, how)
        assert.match(error.output, said, how)
        assert.match(error.output, /hive doctor --rebuild/, how)
        return true
      })
      await writeFile(file, good)
    }
    assert.deepEqual(workersOf(world.run), workers)
    await world.check(await world.start())
  })
})

describe('orphans', () => {
  it('I5: what a lost table leaves is listed, left alone until it is reaped, and then gone', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    const record = (await world.client(first).create('script', 'stray'))?.body
    await first.end('SIGKILL')
    await loseTable(world)
    const second = await world.start()
    const client = world.client(second)
    assert.equal((await client.create('script', 'claimed'))?.status, 201)
    const report = await client.call('GET', '/orphans')
    const stray = { runner: 'script', id: record.id, name: 'stray', attempt: 1, running: true }
    assert.deepEqual(
      report?.body.orphans.map(({ created_at: _created_at, ...rest }: { created_at: string }) => rest),
      [stray],
    )
    assert.deepEqual(report?.body.unasked.map(({ runner }: { runner: string }) => runner).sort(), ['docker', 'podman'])
    const wrong = await client.call('POST', '/orphans/reap?id=of-nobody')
    assert.deepEqual(wrong?.body.reaped, [])
    assert.equal(workersOf(world.run).length, 2)
    const reaped = await client.call('POST', '/orphans/reap')
    assert.deepEqual([reaped?.body.reaped.length, reaped?.body.kept], [1, []])
    await until(() => workersOf(world.run).length === 1, 5_000, 'the end of the orphan')
    assert.deepEqual((await client.call('GET', '/orphans'))?.body.orphans, [])
    world.ledger.created.delete(record.id)
    world.ledger.seen.delete(record.id)
    await world.check(second)
  })
})

for (const [runner, host] of [
  ['docker', docker],
  ['podman', podman],
] as const)
  describe(`two Hives on one ${runner}`, { skip: host ? false : `no HIVE_TEST_${runner.toUpperCase()}_HOST` }, () => {
    it('F13: each touches only its own, whatever becomes of the other', async (t) => {
      const engines = { [runner]: host ?? '' }
      const [here, there] = [await worldOf(t, { engines }), await worldOf(t, { engines })]
      const [mine, theirs] = [await here.start(), await there.start()]
      assert.equal((await here.client(mine).create(runner, 'same'))?.status, 201)
      assert.equal((await there.client(theirs).create(runner, 'same'))?.status, 201)
      const before = await containersOf(host ?? '', await there.instance())
      assert.equal(before.length, 1)
      assert.deepEqual((await here.client(mine).call('GET', '/orphans'))?.body.orphans, [])
      await mine.end('SIGKILL')
      await loseTable(here)
      const again = await here.start()
      const client = here.client(again)
      const listed = (await client.call('GET', '/orphans'))?.body.orphans
      assert.deepEqual(
        listed.map(({ name, running }: { name: string; running: boolean }) => ({ name, running })),
        [{ name: 'same', running: true }],
      )
      const reaped = (await client.call('POST', '/orphans/reap'))?.body
      assert.deepEqual([reaped.reaped.length, reaped.kept], [1, []])
      assert.deepEqual(await containersOf(host ?? '', await here.instance()), [])
      assert.deepEqual(await containersOf(host ?? '', await there.instance()), before)
      await there.check(theirs)
    })
  })
