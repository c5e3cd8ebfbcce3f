import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findTool } from '../../src/runners/script/command.ts'
import { openHive } from '../support/hive.ts'
import { HTTPD, noLimits } from '../support/script-bench.ts'

const path = process.env['PATH'] ?? null
const skip =
  (process.getuid?.() !== 0 && 'only root can hand out uids') ||
  (findTool('bwrap', path) === null && 'bubblewrap is not installed here') ||
  noLimits()

test('a sandboxed, limited cocoon with a uid of its own is spawned, proxied, restarted and removed', {
  skip,
}, async (t) => {
  const runner_config = {
    ...{ command: process.execPath, args: [HTTPD], sandbox: 'bubblewrap', user: 'auto', port: 8080 },
    resources: { memory: '256m', cpus: 1, pids: 64, nofile: 256 },
  }
  const kinds = [{ id: 'caged', runner_type: 'script', runner_config }]
  const hive = await openHive(t, { kinds, env: { HIVE_UID_RANGE: '210100-210199' } })
  const [kind] = (await hive.call('GET', '/kinds')).body.kinds
  assert.deepEqual([kind.available, kind.isolated, kind.reason], [true, true, null])
  const { name, id } = await hive.spawn({ kind: 'caged' }, '?wait=ready')
  const ask = () => fetch(`${hive.url}/cocoons/${name}/`)
  assert.equal((await ask()).status, 200)
  const owner = async () => (await stat(join(hive.directory, 'work', id))).uid
  const uid = await owner()
  assert.ok(uid >= 210_100 && uid <= 210_199)
  const restarted = await hive.call('POST', `/services/${name}/restart?wait=ready`)
  assert.equal(restarted.body.state, 'running')
  assert.equal(await owner(), uid)
  assert.equal((await ask()).status, 200)
  assert.equal((await hive.call('DELETE', `/services/${name}`)).status, 200)
  await assert.rejects(owner(), { code: 'ENOENT' })
})
