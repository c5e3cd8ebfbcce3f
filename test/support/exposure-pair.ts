import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from './deadline.ts'
import { ask, environmentOf, envOf, recordOf, skipOf, type Where, workerKind } from './exposure.ts'
import { openHive } from './hive.ts'

const SECRET = 'open sesame'

/** What every consumer of one runner and every provider of another must do together. */
export function describePair(consumer: Where, provider: Where): void {
  describe(`a cocoon of ${consumer} uses one of ${provider}`, { skip: skipOf(consumer, provider) }, () => {
    const kinds = [
      workerKind('db', provider, {
        expose: { name: 'main-db', secret: SECRET, vars: { DB_URL: 'x://{host}:{port}/{service_name}', SHARED: 'v' } },
      }),
      workerKind('app', consumer, {
        environment: { SHARED: 'own' },
        uses: [{ name: 'main-db', secret: SECRET }],
      }),
    ]
    const env = envOf(consumer, provider)

    it('waits for it, gets its address and variables, reaches it, and goes on doing so when it moves', async (t) => {
      const hive = await openHive(t, { kinds, env })
      await hive.spawn({ kind: 'app', name: 'app' }, '?wait=none')
      const waiting = await until(
        async () => ((await recordOf(hive, 'app')).error ? recordOf(hive, 'app') : null),
        20_000,
        'the reason why it waits',
      )
      assert.deepEqual(
        [waiting.state, waiting.error?.code, waiting.error?.detail],
        ['preparing', 'HIVE_PROVIDER_MISSING', 'it waits for "main-db": no cocoon exposes that'],
      )
      await hive.spawn({ kind: 'db', name: 'pg' })
      const ready = await hive.call('GET', '/services/app?wait=ready&timeout_s=60')
      assert.equal(ready.body.state, 'running', ready.text)
      assert.equal(ready.body.error, null)
      const [use] = ready.body.uses
      assert.deepEqual([use.name, use.service], ['main-db', 'pg'])
      const given = await environmentOf(hive, 'app')
      assert.equal(given['HIVE_USES_MAIN_DB_URL'], `http://${use.host}:${use.port}`)
      assert.deepEqual([given['HIVE_USES_MAIN_DB_HOST'], given['HIVE_USES_MAIN_DB_PORT']], [use.host, `${use.port}`])
      assert.equal(given['DB_URL'], `x://${use.host}:${use.port}/pg`)
      assert.equal(given['SHARED'], 'own')
      assert.equal(await ask(hive, 'app', '/via/HIVE_USES_MAIN_DB_URL'), 'pg')

      const before = (await recordOf(hive, 'pg')).ports[0]?.host_port
      await hive.call('POST', '/services/pg/restart?wait=ready&recreate=true')
      const { ports } = await recordOf(hive, 'pg')
      assert.notEqual(ports[0]?.host_port, before)
      const reached = async () => (await ask(hive, 'app', '/via/HIVE_USES_MAIN_DB_URL')) === 'pg'
      await until(reached, 30_000, 'the consumer reaching the moved provider')
      const { attempt } = await recordOf(hive, 'app')
      assert.equal(attempt, consumer === 'script' ? 2 : 1)

      const { body } = await hive.call('GET', '/exposed')
      assert.equal(body.exposed.length, 1)
      const [{ name, secret, vars, providers, consumers }] = body.exposed
      assert.deepEqual([name, secret, vars], ['main-db', true, ['DB_URL', 'SHARED']])
      assert.deepEqual([providers[0].service, providers[0].healthy], ['pg', true])
      assert.equal(providers[0].address.port, ports[0]?.host_port)
      assert.deepEqual([consumers[0].service, consumers[0].provider], ['app', 'pg'])
    })

    it('reaches it again, at the same address, after Hive came back; another provider takes over from a removed one', async (t) => {
      const hive = await openHive(t, { kinds, env })
      await hive.spawn({ kind: 'db', name: 'pg' })
      await hive.spawn({ kind: 'app', name: 'app' })
      const { uses } = await recordOf(hive, 'app')
      const { directory } = hive
      await hive.close()
      const again = await openHive(t, { kinds, env, directory })
      const reached = (name: string) => async () => (await ask(again, 'app', '/via/HIVE_USES_MAIN_DB_URL')) === name
      await until(reached('pg'), 30_000, 'the consumer reaching its provider')
      assert.deepEqual((await recordOf(again, 'app')).uses, uses)
      assert.equal((await recordOf(again, 'app')).attempt, 1)
      await again.spawn({ kind: 'db', name: 'pg-2' })
      await again.call('DELETE', '/services/pg')
      await until(reached('pg-2'), 30_000, 'the consumer reaching the other provider')
      assert.equal((await recordOf(again, 'app')).uses?.[0]?.service, 'pg-2')
      assert.deepEqual(
        [...(await again.app.serviceTable.documents('uses_relays'))].length,
        consumer === 'script' ? 0 : 1,
      )
      await again.call('DELETE', '/services/app')
      await until(
        async () => (await again.app.serviceTable.documents('uses_relays')).size === 0,
        5_000,
        'no relay left',
      )
    })
  })
}
