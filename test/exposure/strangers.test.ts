import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ask, envOf, recordOf, skipOf, workerKind } from '../support/exposure.ts'
import { openHive } from '../support/hive.ts'

for (const where of ['docker', 'podman'] as const)
  describe(`the relay of a container of ${where}`, { skip: skipOf(where) }, () => {
    it('is for that container alone: another of the same engine and this machine itself do not get through', async (t) => {
      const kinds = [
        workerKind('db', 'script', { expose: { name: 'db', secret: 'open sesame' } }),
        workerKind('app', where, {
          environment: { DIAL: 'HIVE_USES_DB_URL' },
          uses: [{ name: 'db', secret: 'open sesame' }],
        }),
        workerKind('stranger', where, {}),
      ]
      const hive = await openHive(t, { kinds, env: envOf(where) })
      await hive.spawn({ kind: 'db', name: 'pg' })
      await hive.spawn({ kind: 'app', name: 'app' })
      const [use] = (await recordOf(hive, 'app')).uses ?? []
      assert.equal(
        await ask(hive, 'app', '/first'),
        'pg',
        'it dials before Hive knows its address, and is held until then',
      )
      const url = `http://${use?.host}:${use?.port}`
      await hive.spawn({ kind: 'stranger', name: 'stranger', environment: { FOUND: url } })
      assert.equal(await ask(hive, 'app', '/via/HIVE_USES_DB_URL'), 'pg')
      assert.match(await ask(hive, 'stranger', '/via/FOUND'), /^502 /)
      await assert.rejects(fetch(`${url}/me`))
      // A container has another address after a restart, and none of its earlier ones counts any more.
      await hive.call('POST', '/services/app/stop?wait=stopped')
      await hive.spawn({ kind: 'stranger', name: 'heir', environment: { FOUND: url } })
      assert.match(await ask(hive, 'heir', '/via/FOUND'), /^502 /)
      await hive.call('POST', '/services/app/start?wait=ready')
      assert.equal(await ask(hive, 'app', '/via/HIVE_USES_DB_URL'), 'pg')
      assert.match(await ask(hive, 'heir', '/via/FOUND'), /^502 /)
    })
  })
