import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeRunner } from '../support/fake-driver.ts'
import { openHive } from '../support/hive.ts'

const kind = (id: string, config: object) => ({ id, runner_type: 'script', runner_config: { command: 'w', ...config } })

const KINDS = [
  kind('pg', { expose: { name: 'db', secret: 'planted-secret', vars: { B: 'planted-value', A: '{host}' } } }),
  kind('mq', { expose: { name: 'a-queue' } }),
  kind('api', { uses: [{ name: 'db', secret: 'planted-secret' }, { name: 'a-queue' }] }),
]

test('GET /exposed names what kinds expose before anybody provides it, by name, and never a value', async (t) => {
  const hive = await openHive(t, { kinds: KINDS, drivers: [new FakeRunner().driver()] })
  const { status, body, text } = await hive.call('GET', '/exposed')
  assert.equal(status, 200)
  assert.deepEqual(body.exposed, [
    { name: 'a-queue', kinds: ['mq'], secret: false, vars: [], providers: [], consumers: [] },
    { name: 'db', kinds: ['pg'], secret: true, vars: ['A', 'B'], providers: [], consumers: [] },
  ])
  assert.ok(!text.includes('planted-'))
})

test('GET /exposed shows who provides, and who waits', async (t) => {
  const driver = new FakeRunner().driver()
  const hive = await openHive(t, { kinds: KINDS, drivers: [driver] })
  const pg = await hive.spawn({ kind: 'pg', name: 'pg-1' })
  const api = await hive.spawn({ kind: 'api', name: 'api-1' }, '?wait=none')
  const address = { host: '127.0.0.1', port: pg.ports[0]?.host_port }
  const provider = { service: 'pg-1', id: pg.id, kind: 'pg', state: 'running', healthy: true, address }
  const exposed = async () => (await hive.call('GET', '/exposed')).body.exposed
  const [queue, db] = await exposed()
  assert.deepEqual(db.providers, [provider])
  for (const { consumers } of [queue, db]) {
    const [{ state, ...consumer }] = consumers
    assert.ok(['requested', 'preparing'].includes(state))
    assert.deepEqual(consumer, { service: 'api-1', id: api.id, kind: 'api', provider: null, address: null })
  }
  await hive.call('DELETE', '/services/api-1')
  const after = await exposed()
  assert.deepEqual([after[0].consumers, after[1].consumers], [[], []])
})

test('GET /exposed needs the token', async (t) => {
  const hive = await openHive(t, { kinds: KINDS, drivers: [new FakeRunner().driver()] })
  assert.equal((await fetch(`${hive.url}/exposed`)).status, 401)
})
