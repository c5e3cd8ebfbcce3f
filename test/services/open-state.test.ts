import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { IDENTITY, INSTANCE_ID, openState } from '../../src/services/table/open-state.ts'
import { StateDirectoryError } from '../../src/services/table/state-directory.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const opened = (path: string) => openState({ path, token: null, masterKey: null })

const LOSSES = [
  ['removed', (file: string) => rm(file)],
  ['emptied', (file: string) => writeFile(file, '')],
] as const

/** A state directory with a service in it. */
async function used(t: TestContext) {
  const path = await tempDirectory(t)
  const { state, table } = await opened(path)
  await table.write(requestedRow())
  await table.close()
  return { path, state, file: join(path, 'instance_id') }
}

function refused(...parts: readonly RegExp[]) {
  return (error: unknown) => {
    assert.ok(error instanceof StateDirectoryError, String(error))
    for (const part of parts) assert.match(error.message, part)
    return true
  }
}

describe('what lies beside the table', () => {
  for (const [how, lose] of LOSSES) {
    it(`F11: an instance_id that was ${how} is written anew from the table, and said`, async (t) => {
      const { path, state, file } = await used(t)
      await lose(file)
      const { state: again, table, mended } = await opened(path)
      t.after(() => table.close())
      assert.equal(again.instanceId, state.instanceId)
      assert.equal((await readFile(file, 'utf8')).trim(), state.instanceId)
      assert.match(mended.join(), /^instance_id was not there/)
    })

    it(`F11: a key and a token that were ${how} are made anew, and said`, async (t) => {
      const { path, state } = await used(t)
      for (const name of ['key', 'token']) await lose(join(path, name))
      const { state: again, table, mended } = await opened(path)
      t.after(() => table.close())
      assert.notDeepEqual(again.masterKey, state.masterKey)
      assert.notEqual(again.token.reveal(), state.token.reveal())
      assert.deepEqual([again.instanceId, mended.length], [state.instanceId, 2])
    })

    it(`F11: an instance_id that was ${how} beside an older table, which does not know it, is asked for`, async (t) => {
      const { path, file } = await used(t)
      const { table } = await opened(path)
      await table.dropDocument(IDENTITY, INSTANCE_ID)
      await table.close()
      await lose(file)
      await assert.rejects(opened(path), refused(/instance_id is missing or empty/, /marker\.json/))
      await assert.rejects(opened(path), refused(/instance_id is missing or empty/), 'nothing was made meanwhile')
    })
  }

  it('F11: an instance_id of another table is refused, and the next start is none the wiser', async (t) => {
    const { path, state, file } = await used(t)
    await writeFile(file, `${'ab'.repeat(8)}\n`)
    for (let n = 0; n < 2; n++) await assert.rejects(opened(path), refused(/abababab/, new RegExp(state.instanceId)))
    await rm(file)
    const { table } = await opened(path)
    await table.close()
    assert.equal((await readFile(file, 'utf8')).trim(), state.instanceId)
  })

  it('a new directory tells of nothing that was mended, and an older one learns whose it is', async (t) => {
    const path = await tempDirectory(t)
    const { state, table, mended } = await opened(path)
    assert.deepEqual(mended, [])
    assert.equal((await table.documents(IDENTITY)).get(INSTANCE_ID), state.instanceId)
    await table.dropDocument(IDENTITY, INSTANCE_ID)
    await table.close()
    const { table: again } = await opened(path)
    t.after(() => again.close())
    assert.equal((await again.documents(IDENTITY)).get(INSTANCE_ID), state.instanceId)
  })
})
