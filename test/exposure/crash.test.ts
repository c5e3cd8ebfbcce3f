import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { until } from '../support/deadline.ts'
import { envOf, skipOf, type Where, workerKind } from '../support/exposure.ts'
import { type HiveServer, serverBench } from '../support/hive-server.ts'

const SECRET = `planted-${randomBytes(12).toString('hex')}`

const kinds = (where: Where, given = SECRET) =>
  JSON.stringify([
    workerKind('db', 'script', { expose: { name: 'db', secret: SECRET, vars: { PASSWORD: SECRET } } }),
    workerKind('app', where, { uses: [{ name: 'db', secret: given }] }),
  ])

async function killed(server: HiveServer): Promise<void> {
  server.child.kill('SIGKILL')
  await server.exit()
}

async function show(server: HiveServer, name: string, query = '') {
  return (await server.call('GET', `/services/${name}${query}`)).body
}

/** Past Hive: at the consumer's own port on this machine. */
async function reaches(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/via/HIVE_USES_DB_URL`)
  return answer.ok ? answer.text() : `${answer.status}`
}

for (const where of ['script', 'docker', 'podman'] as const)
  describe(`Hive is killed under a consumer of ${where}`, { skip: skipOf(where) }, () => {
    it('while it waits: it goes on waiting. While it runs: it is not touched, and reaches its provider at the same address', async (t) => {
      const bench = await serverBench(t, { COCOON_KINDS: kinds(where), ...envOf(where) })
      const first = bench.start()
      await first.call('POST', '/spawn', { kind: 'app', name: 'app' })
      await until(async () => (await show(first, 'app')).error?.code === 'HIVE_PROVIDER_MISSING', 10_000, 'waiting')
      await killed(first)

      const second = bench.start()
      assert.equal((await show(second, 'app')).state, 'preparing')
      await second.call('POST', '/spawn?wait=ready', { kind: 'db', name: 'pg' })
      const ready = await show(second, 'app', '?wait=ready&timeout_s=30')
      assert.equal(ready.ready, true, JSON.stringify(ready))
      const port = ready.ports[0].host_port
      assert.equal(await reaches(port), 'pg')
      await killed(second)

      // A script dials its provider itself; a relay ends with Hive.
      if (where === 'script') assert.equal(await reaches(port), 'pg')
      const third = bench.start()
      await until(async () => (await reaches(port)) === 'pg', 20_000, 'reaching it again')
      const again = await show(third, 'app')
      assert.deepEqual([again.attempt, again.started_at], [1, ready.started_at])
      assert.deepEqual(again.uses, ready.uses)
      assert.ok(![first, second, third].some((each) => each.output().includes(SECRET)))
    })
  })

it('Hive does not start with a wrong secret in the same configuration, and says where, not what', async (t) => {
  const wrong = `planted-${randomBytes(12).toString('hex')}`
  const bench = await serverBench(t, { COCOON_KINDS: kinds('script', wrong) })
  const server = bench.start()
  assert.equal(await server.exit(), 78)
  assert.match(server.output(), /entry 2 \(app\), uses\[0\]\.secret: is not the one of entry 1 \(db\)/)
  assert.ok(!server.output().includes('planted-'))
})
