import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { containersOf } from '../support/crash/engine-objects.ts'
import { workersOf } from '../support/crash/live-processes.ts'
import { type World, worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

const BIN = new URL('../../bin/hive.js', import.meta.url).pathname
const docker = process.env['HIVE_TEST_DOCKER_HOST']

function rebuild(world: World, ...options: string[]) {
  const args = [BIN, 'doctor', '--rebuild', '--json', ...options]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env: world.env, encoding: 'utf8' })
  return { status, stderr, body: stdout === '' ? null : JSON.parse(stdout) }
}

/** With its log: all of a young table stands there, and SQLite would make it whole again from that. */
async function garble(world: World): Promise<void> {
  for (const name of ['hive.db-wal', 'hive.db-shm']) await rm(join(world.directory, name), { force: true })
  await writeFile(join(world.directory, 'hive.db'), 'no table at all '.repeat(500))
}

/** What was promised for the old rows does not bind the new ones. */
function forgetPromises(world: World): void {
  world.ledger.created.clear()
  world.ledger.seen.clear()
}

describe('hive doctor --rebuild', () => {
  it('F11: re-makes a table of garbage from what runs, without touching it', async (t) => {
    const engines = docker ? { docker } : {}
    const world = await worldOf(t, { engines })
    const first = await world.start()
    const before = world.client(first)
    await before.create('script', 'lives')
    await before.create('script', 'ended')
    await before.change('stop', 'ended', '?wait=stopped')
    if (docker) assert.equal((await before.create('docker', 'box'))?.status, 201)
    await first.end('SIGKILL')
    await garble(world)
    const workers = workersOf(world.run)
    const containers = docker ? await containersOf(docker, await world.instance()) : []
    const { status, body, stderr } = rebuild(world)
    assert.equal(status, 0, stderr)
    assert.deepEqual([body.salvaged, body.remade.sort()], [[], [...(docker ? ['box'] : []), 'ended', 'lives']])
    forgetPromises(world)
    const second = await world.start()
    const client = world.client(second)
    await world.check(second)
    assert.deepEqual(workersOf(world.run), workers)
    if (docker) assert.deepEqual(await containersOf(docker, await world.instance()), containers)
    if (docker) await until(async () => (await client.visit('box'))?.status === 200, 10_000, 'the route of box')
    const restart = await client.change('restart', 'lives')
    assert.deepEqual([restart?.status, restart?.body.code], [409, 'HIVE_SECRETS_LOST'])
    const ended = (await client.show('ended'))?.body
    assert.deepEqual([ended.state, ended.exit.code], ['failed', 143])
    assert.deepEqual((await client.call('GET', '/orphans'))?.body.orphans, [])
    for (const name of ['lives', 'ended', ...(docker ? ['box'] : [])])
      assert.equal((await client.remove(name))?.status, 200)
    await world.check(second)
    const kept = (await readdir(world.directory)).filter((name) => name.includes('aside'))
    assert.deepEqual(kept.sort(), [...body.aside].sort())
  })

  it('F11: keeps the rows of a torn table that can still be read, secrets and all', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    const before = world.client(first)
    for (const name of ['a', 'b']) assert.equal((await before.create('script', name))?.status, 201)
    for (let n = 0; n < 12; n++)
      await before.call('POST', '/spawn', { kind: 'fails', name: `past-${n}`, request_id: `p${n}` })
    await until(
      async () => (await before.list()).filter(({ state }) => state === 'failed').length === 12,
      20_000,
      'the ends',
    )
    await first.end('SIGTERM')
    const path = join(world.directory, 'hive.db')
    const file = await open(path, 'r+')
    await file.write(Buffer.alloc(4096, 0xee), 0, 4096, (pageOfRows(path) - 1) * 4096)
    await file.close()
    const { status, body, stderr } = rebuild(world)
    assert.equal(status, 0, stderr)
    assert.ok(body.salvaged.length > 0 && body.salvaged.length < 14, JSON.stringify(body))
    forgetPromises(world)
    const second = await world.start()
    const client = world.client(second)
    await world.check(second)
    for (const name of ['a', 'b']) {
      const reply = await client.change('restart', name)
      assert.equal(reply?.status, body.salvaged.includes(name) ? 200 : 409, `${name}: ${reply?.text}`)
    }
    await world.check(second)
  })

  it('is refused while a Hive runs, while the table is whole, and while a runner in use is away', async (t) => {
    const world = await worldOf(t)
    const hive = await world.start()
    const running = rebuild(world)
    assert.deepEqual([running.status, /stop it first/.test(running.stderr)], [6, true], running.stderr)
    await hive.end('SIGTERM')
    const whole = rebuild(world)
    assert.deepEqual([whole.status, /nothing to rebuild/.test(whole.stderr)], [6, true], whole.stderr)
    await garble(world)
    const away = spawnSync(process.execPath, [BIN, 'doctor', '--rebuild'], {
      env: { ...world.env, COCOON_KINDS: 'box:docker:some-image' },
      encoding: 'utf8',
    })
    assert.deepEqual([away.status, /docker does not answer/.test(away.stderr)], [6, true], away.stderr)
    assert.equal(rebuild(world).status, 0)
    await world.check(await world.start())
  })
})

/** A page that holds some of the services, and no others; pages count from 1 (sqlite.org/dbstat.html). */
function pageOfRows(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const leaves = database.prepare(
      "SELECT pageno FROM dbstat WHERE name = 'services' AND pagetype = 'leaf' AND ncell > 0",
    )
    const pages = leaves.all().map(({ pageno }) => Number(pageno))
    assert.ok(pages.length > 1)
    return Math.max(...pages)
  } finally {
    database.close()
  }
}
