import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { ownInstanceId } from '../../src/doctor/identity.ts'
import { RebuildRefused } from '../../src/doctor/refused.ts'
import { openState } from '../../src/services/table/open-state.ts'
import { tempDirectory } from '../support/temp-directory.ts'

it('F11: a rebuild takes a lost instance_id from the table, and makes none up', async (t) => {
  const path = await tempDirectory(t)
  const { state, table } = await openState({ path, token: null, masterKey: null })
  await table.close()
  assert.equal(await ownInstanceId(path), null, 'the file is there')
  await writeFile(join(path, 'instance_id'), '')
  assert.equal(await ownInstanceId(path), state.instanceId)
  await rm(join(path, 'instance_id'))
  await writeFile(join(path, 'hive.db'), 'garbage '.repeat(1000))
  await assert.rejects(ownInstanceId(path), (error) => error instanceof RebuildRefused && /marker/.test(error.message))
})
