import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import { openServiceTable } from '../../src/services/table/table.ts'
import { ALL } from '../support/crash/seed.ts'
import { injecting, noStrace } from '../support/crash/strace.ts'
import { until } from '../support/deadline.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const WRITER = new URL('../support/fixtures/write-table.ts', import.meta.url).pathname

interface Entry {
  readonly written?: string
  readonly refused?: string
  readonly code?: string
  readonly healthy?: boolean
}

/** Runs the writer under strace and returns what it said, and what is durable after its death. */
async function writeUnder(t: TestContext, calls: string, action: string, tries = 40) {
  const directory = await tempDirectory(t)
  await (await openServiceTable(directory)).close()
  const [strace = '', ...options] = injecting(calls, action)
  const { stdout, stderr } = spawnSync(strace, [...options, process.execPath, WRITER, directory, '5', String(tries)], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  const entries = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Entry)
  const table = await openServiceTable(directory)
  const durable = (await table.load()).map(({ record }) => record.name)
  await table.close()
  const written = entries.flatMap((entry) => entry.written ?? [])
  const refused = entries.filter((entry) => entry.refused !== undefined)
  return { entries, durable, written, refused, stderr }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at)
}

describe('the service table after a failed write', { skip: noStrace() }, () => {
  for (const calls of ['fsync,fdatasync', 'pwrite64'])
    it(`F7: EIO at three ${calls} from the Nth on: refuses, recovers by itself, and holds what it said`, async (t) => {
      let failures = 0
      for (const nth of ALL ? range(1, 14) : [6, 10, 13]) {
        const seen = await writeUnder(t, calls, `error=EIO:when=${nth}..${nth + 2}`)
        const told = `N = ${nth}: ${JSON.stringify(seen)}`
        // An error while it opens is told at once, and nothing is written.
        if (seen.entries.length === 0) assert.match(seen.stderr, /StateDirectoryError.*disk I\/O error/, told)
        else assert.equal(seen.written.length, 5, told)
        assert.deepEqual(seen.durable.sort(), seen.written.sort(), told)
        for (const { code, healthy } of seen.refused)
          assert.deepEqual({ code, healthy }, { code: 'HIVE_STORE_FAILED', healthy: false }, told)
        failures += seen.refused.length
      }
      assert.ok(failures > 0, 'no write ever failed')
    })
  it('F7: a write that was refused is not there after a restart, even if Hive dies at once', async (t) => {
    let failures = 0
    for (const nth of ALL ? range(1, 8) : [3, 5]) {
      const seen = await writeUnder(t, 'fsync,fdatasync', `error=EIO:when=${nth}`, 1)
      assert.deepEqual(seen.durable.sort(), seen.written.sort(), `N = ${nth}: ${JSON.stringify(seen)}`)
      failures += seen.refused.length
    }
    assert.ok(failures > 0, 'no write ever failed')
  })
  it('F11: a table that is moved away under a running Hive is noticed, and so is its return', async (t) => {
    const directory = await tempDirectory(t)
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    await table.write(requestedRow())
    await rename(join(directory, 'hive.db'), join(directory, 'away'))
    await assert.rejects(table.write(requestedRow()), (error) => isHiveError(error, 'HIVE_STORE_FAILED'))
    assert.equal(table.healthy, false)
    await rename(join(directory, 'away'), join(directory, 'hive.db'))
    await until(() => table.healthy, 10_000, 'recovery without a write')
    await table.write(requestedRow())
    assert.equal((await table.load()).length, 2)
  })
})
