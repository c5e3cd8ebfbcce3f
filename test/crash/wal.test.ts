import assert from 'node:assert/strict'
import { stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { workersOf } from '../support/crash/live-processes.ts'
import { randomFrom, SEED } from '../support/crash/seed.ts'
import { worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

describe('the log of the table is cut short', () => {
  it(`F11: every cocoon lives on, claimed by its row or listed as an orphan (seed ${SEED})`, async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    for (const name of ['a', 'b', 'c']) await world.client(first).create('script', name)
    await first.end('SIGKILL')
    const workers = workersOf(world.run)
    const log = join(world.directory, 'hive.db-wal')
    const { size } = await stat(log)
    await truncate(log, Math.floor(size * (0.4 + 0.55 * randomFrom(SEED)())))
    world.ledger.created.clear()
    world.ledger.seen.clear()
    const second = await world.start()
    const client = world.client(second)
    const settled = await until(
      async () => {
        const records = await client.list()
        return records.every(({ state }) => state === 'running') ? records : null
      },
      20_000,
      'the rows that are left',
    )
    const orphans = (await client.call('GET', '/orphans'))?.body.orphans as readonly { readonly id: string }[]
    assert.deepEqual(workersOf(world.run), workers)
    const known = [...settled, ...orphans].map(({ id }) => id)
    assert.equal(known.length, workers.length)
    assert.deepEqual(new Set(known), new Set(workers.map(({ mark }) => mark?.split('.')[0])))
  })
})
