import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hive } from '../support/command-line.ts'
import { startStubHive } from '../support/stub-hive.ts'

const member = (service: string, state = 'running') => ({ service, id: `id-${service}`, kind: 'k', state })
const address = { host: '127.0.0.1', port: 20_007 }
const db = {
  name: 'db',
  kinds: ['pg'],
  secret: true,
  vars: ['DATABASE_URL'],
  providers: [
    { ...member('pg-1'), healthy: true, address },
    { ...member('pg-2'), healthy: false, address: null },
  ],
  consumers: [
    { ...member('api-1'), provider: 'pg-1', address },
    { ...member('api-2', 'preparing'), provider: null, address: null },
  ],
}
const queue = { name: 'queue', kinds: ['mq'], secret: false, vars: [], providers: [], consumers: [] }

test('exposed lists every name with those who provide and those who use it', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: { exposed: [db, queue] } }))
  assert.deepEqual(await hive(['exposed', '--url', stub.url]), {
    code: 0,
    stdout: `db  (secret)
  from cocoons:pg-1  running  127.0.0.1:20007
  from cocoons:pg-2  running, not usable
  to cocoons:api-1  running  from cocoons:pg-1
  to cocoons:api-2  preparing  waits
queue
  from nobody yet
`,
    stderr: '',
  })
  const { stdout } = await hive(['exposed', '--json', '--url', stub.url])
  assert.deepEqual(JSON.parse(stdout), { exposed: [db, queue] })
  assert.deepEqual(
    stub.seen.map(({ method, path }) => `${method} ${path}`),
    ['GET /exposed', 'GET /exposed'],
  )
})

test('exposed says how to expose something when nothing is', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: { exposed: [] } }))
  const { stdout, stderr } = await hive(['exposed', '--url', stub.url])
  assert.deepEqual([stdout, /`expose` of a kind/.test(stderr)], ['', true])
})
