import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hive } from '../support/command-line.ts'
import { startStubHive } from '../support/stub-hive.ts'

const stray = { runner: 'docker', id: 'id-1', name: 'stray', attempt: 2, running: true, created_at: null }
const ended = { runner: 'script', id: 'id-2', name: 'ended', attempt: 1, running: false, created_at: null }
const podman = { runner: 'podman', reason: 'no podman engine answers' }

test('orphans lists what belongs to no service, and says which runner was not asked', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: { orphans: [stray, ended], unasked: [podman] } }))
  assert.deepEqual(await hive(['orphans', '--url', stub.url]), {
    code: 0,
    stdout: 'cocoons:stray  running  docker id-1 (attempt 2)\ncocoons:ended  ended  script id-2 (attempt 1)\n',
    stderr: 'podman was not asked: no podman engine answers\n',
  })
  assert.deepEqual(
    stub.seen.map(({ method, path }) => `${method} ${path}`),
    ['GET /orphans'],
  )
  const one = await hive(['orphans', 'id-2', '--json', '--url', stub.url])
  assert.deepEqual(JSON.parse(one.stdout), { orphans: [ended], unasked: [podman] })
})

test('orphans --reap removes them, and fails if one is left', async (t) => {
  const kept = { ...ended, reason: 'it does not end' }
  const stub = await startStubHive(t, () => ({ status: 200, body: { reaped: [stray], kept: [kept], unasked: [] } }))
  const ran = await hive(['orphans', '--reap', '--volumes', 'id-1', 'id-2', '--url', stub.url])
  assert.deepEqual(ran, {
    code: 1,
    stdout: 'cocoons:stray  running  docker id-1 (attempt 2)  removed\n',
    stderr: 'cocoons:ended  ended  script id-2 (attempt 1)  not removed: it does not end\n',
  })
  const [seen] = stub.seen
  assert.equal(`${seen?.method} ${seen?.path}`, 'POST /orphans/reap')
  assert.deepEqual(seen?.query.getAll('id'), ['id-1', 'id-2'])
  assert.equal(seen?.query.get('volumes'), 'true')
})
