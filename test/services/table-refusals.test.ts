import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import { StateDirectoryError } from '../../src/services/table/state-directory.ts'
import { openServiceTable } from '../../src/services/table/table.ts'
import { within } from '../support/deadline.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

function refused(...parts: readonly RegExp[]) {
  return (error: unknown) => {
    assert.ok(error instanceof StateDirectoryError, String(error))
    for (const part of parts) assert.match(error.message, part)
    return true
  }
}

async function madeTable(t: TestContext, rows = 1): Promise<string> {
  const directory = await tempDirectory(t)
  const table = await openServiceTable(directory)
  for (let n = 0; n < rows; n++) await table.write(requestedRow())
  await table.close()
  return directory
}

/** Another process that holds the table of this directory. */
async function holder(t: TestContext, directory: string): Promise<ChildProcess> {
  const fixture = new URL('../support/fixtures/hold-table.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [fixture, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await within(once(child.stdout ?? assert.fail(), 'data'), 20_000, 'holding the table')
  return child
}

describe('the service table refuses', () => {
  it('F12: a second opening of the same directory, and the first goes on', async (t) => {
    const directory = await tempDirectory(t)
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    await assert.rejects(openServiceTable(directory), refused(/another Hive/, /HIVE_STATE_DIR/))
    await table.write(requestedRow())
    await table.close()
    const again = await openServiceTable(directory)
    assert.equal((await again.load()).length, 1)
    await again.close()
  })

  it('F12: a directory held by another process, until that is killed', async (t) => {
    const directory = await tempDirectory(t)
    const child = await holder(t, directory)
    await assert.rejects(openServiceTable(directory), refused(/another Hive/))
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await within(gone, 10_000, 'the end of the holder')
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    const names = (await table.load()).map(({ record }) => record.name)
    assert.deepEqual(names, ['held'], 'what was acknowledged before the kill is there')
    await table.write(requestedRow())
  })

  it('F67: a table of a newer format, with advice, and leaves it as it is', async (t) => {
    const directory = await madeTable(t)
    const file = join(directory, 'hive.db')
    const db = new DatabaseSync(file)
    db.exec('PRAGMA user_version = 7')
    db.close()
    await assert.rejects(openServiceTable(directory), refused(/format 7/, /newer Hive/))
    const check = new DatabaseSync(file)
    t.after(() => check.close())
    assert.equal(check.prepare('SELECT count(*) AS n FROM services').get()?.['n'], 1)
  })

  it('F11: a file that is no table', async (t) => {
    const directory = await tempDirectory(t)
    await writeFile(join(directory, 'hive.db'), Buffer.alloc(8192, 'garbage '))
    await assert.rejects(openServiceTable(directory), refused(/not a database/, /backup/))
    assert.equal((await readFile(join(directory, 'hive.db'))).subarray(0, 7).toString(), 'garbage')
  })

  it('F11: a table with torn pages', async (t) => {
    const directory = await madeTable(t, 40)
    const file = await open(join(directory, 'hive.db'), 'r+')
    await file.write(Buffer.alloc(8192, 0xee), 0, 8192, 4096)
    await file.close()
    await assert.rejects(openServiceTable(directory), refused(/hive\.db/, /backup/))
  })

  it('F11: a table cut short', async (t) => {
    const directory = await madeTable(t, 40)
    const file = await open(join(directory, 'hive.db'), 'r+')
    await file.truncate(6000)
    await file.close()
    await assert.rejects(openServiceTable(directory), refused(/backup/))
  })

  it('F11: a table cut to nothing, instead of starting empty', async (t) => {
    const directory = await madeTable(t)
    await writeFile(join(directory, 'hive.db'), '')
    await assert.rejects(openServiceTable(directory), refused(/backup/))
  })

  it('F11: a lost table, until its absence is confirmed by taking the lock file away', async (t) => {
    const directory = await madeTable(t)
    for (const file of ['hive.db', 'hive.db-wal', 'hive.db-shm']) await rm(join(directory, file), { force: true })
    await assert.rejects(openServiceTable(directory), refused(/lock\.db/))
    await rm(join(directory, 'lock.db'))
    const table = await openServiceTable(directory)
    assert.deepEqual(await table.load(), [])
    await table.close()
  })

  it('F11: a row that cannot be read, instead of forgetting it', async (t) => {
    const directory = await madeTable(t)
    const db = new DatabaseSync(join(directory, 'hive.db'))
    db.exec(`UPDATE services SET body = '{"record":'`)
    db.close()
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    await assert.rejects(table.load(), refused(/cannot be read/, /backup/))
  })

  it('F11: a lock file that is no lock file', async (t) => {
    const directory = await madeTable(t)
    await writeFile(join(directory, 'lock.db'), Buffer.alloc(4096, 'x'))
    await assert.rejects(openServiceTable(directory), refused(/lock\.db/))
  })

  it('a directory that is not there', async (t) => {
    const directory = join(await tempDirectory(t), 'missing')
    await assert.rejects(openServiceTable(directory), refused(/Hive may write/))
  })
})

/** A file system of 4 MB, so that a full disk can be had without filling one. */
async function smallDisk(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-test-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'hive-test', directory])
  t.after(async () => {
    execFileSync('umount', ['-l', directory])
    await rm(directory, { recursive: true })
  })
  return directory
}

function mountRefusal(): string | false {
  if (process.getuid?.() !== 0) return 'needs root to mount a small disk'
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'probe', '/mnt'], { stdio: 'ignore' })
    return false
  } catch {
    return 'this host does not let root mount'
  }
}

describe('the service table on a full disk', { skip: mountRefusal() }, () => {
  it('F8: says HIVE_STORE_FULL, keeps what it has, and works again when space returns', async (t) => {
    const directory = await smallDisk(t)
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    const kept = requestedRow()
    await table.write(kept)
    const filler = join(directory, 'filler')
    const file = await open(filler, 'w')
    const full = await fill(file)
    await file.close()
    assert.ok(full > 0)
    const failures = await failUntilFull(table, directory)
    assert.ok(isHiveError(failures.error, 'HIVE_STORE_FULL'), String(failures.error))
    assert.equal(failures.error.status, 507)
    assert.equal(table.healthy, false)
    assert.ok((await table.load()).some(({ record }) => record.id === kept.record.id))
    await rm(filler)
    const after = requestedRow()
    await table.write(after)
    assert.equal(table.healthy, true)
    const rows = (await table.load()).map(({ record }) => record.id)
    assert.deepEqual(new Set(rows), new Set([kept.record.id, after.record.id, ...failures.written]))
  })
})

async function fill(file: Awaited<ReturnType<typeof open>>): Promise<number> {
  let bytes = 0
  for (const size of [65_536, 4096])
    for (;;) {
      const written = await file.write(Buffer.alloc(size)).then(
        ({ bytesWritten }) => bytesWritten,
        () => 0,
      )
      bytes += written
      if (written < size) break
    }
  return bytes
}

/** What little room is left in the files SQLite has already is used up first. */
async function failUntilFull(table: Awaited<ReturnType<typeof openServiceTable>>, directory: string) {
  const written: string[] = []
  for (let n = 0; n < 5_000; n++) {
    const row = requestedRow()
    try {
      await table.write(row)
      written.push(row.record.id)
    } catch (error) {
      return { written, error }
    }
  }
  return assert.fail(`${directory} never got full`)
}
