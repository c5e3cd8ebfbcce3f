import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { hive } from '../support/command-line.ts'
import { problem, record, type Seen, startStubHive } from '../support/stub-hive.ts'

const stopped = { state: 'stopped', ready: false, pid: null } as const
const nameOf = ({ path }: Seen) => path.split('/')[2] ?? ''
const ok = (service: ServiceRecord) => ({ status: 200, body: service })

test('stop takes several names in either form, waits for each end and prints them in the order given', async (t) => {
  const gets = new Map<string, number>()
  const stub = await startStubHive(t, (seen) => {
    const name = nameOf(seen)
    if (seen.method === 'POST') return ok(record({ name, state: 'stopping', desired: 'stopped' }))
    gets.set(name, (gets.get(name) ?? 0) + 1)
    const isDone = name === 'b' || (gets.get(name) ?? 0) > 2
    return ok(record({ name, desired: 'stopped', ...(isDone ? stopped : { state: 'stopping' }) }))
  })
  const ran = await hive(['stop', 'cocoons:a', 'b', 'cocoons:b', '--url', stub.url])
  assert.deepEqual(ran, {
    code: 0,
    stdout: 'cocoons:a  stopped  - (native)\ncocoons:b  stopped  - (native)\n',
    stderr: '',
  })
  assert.equal(stub.seen.filter(({ method }) => method === 'POST').length, 2)
})

test('stop goes on after a name that fails, and exits with the first failure', async (t) => {
  const stub = await startStubHive(t, (seen) =>
    nameOf(seen) === 'a' ? problem(404, 'HIVE_SERVICE_UNKNOWN') : ok(record({ name: nameOf(seen), ...stopped })),
  )
  const ran = await hive(['stop', 'a', 'b', '--json', '--url', stub.url])
  assert.equal(ran.code, 3)
  assert.equal(JSON.parse(ran.stdout).name, 'b')
  assert.equal(JSON.parse(ran.stderr).code, 'HIVE_SERVICE_UNKNOWN')
})

test('kill removes and waits until the tombstone says so', async (t) => {
  let gets = 0
  const stub = await startStubHive(t, ({ method }) => {
    if (method === 'DELETE')
      return { status: 202, body: record({ name: 'web', state: 'stopping', desired: 'removed' }) }
    gets += 1
    if (gets < 3) return ok(record({ name: 'web', state: 'stopping', desired: 'removed' }))
    const service = record({ name: 'web', state: 'removed', desired: 'removed', pid: null })
    return problem(410, 'HIVE_COCOON_GONE', { service })
  })
  const ran = await hive(['kill', 'web', '--volumes', '--url', stub.url])
  assert.deepEqual(ran, { code: 0, stdout: 'cocoons:web  removed  - (native)\n', stderr: '' })
  assert.equal(stub.seen[0]?.query.get('wait'), 'none')
  assert.equal(stub.seen[0]?.query.get('volumes'), 'true')
})

test('kill of what is gone already is a success, of what never was it exits 3', async (t) => {
  const service = record({ name: 'web', state: 'removed', desired: 'removed', pid: null })
  const gone = await startStubHive(t, () => problem(410, 'HIVE_COCOON_GONE', { service }))
  assert.equal((await hive(['kill', 'web', '--url', gone.url])).code, 0)
  const never = await startStubHive(t, () => problem(404, 'HIVE_SERVICE_UNKNOWN'))
  assert.equal((await hive(['kill', 'web', '--url', never.url])).code, 3)
})

test('kill counts a name that is another cocoon by now as gone', async (t) => {
  const stub = await startStubHive(t, ({ method }) =>
    method === 'DELETE'
      ? { status: 202, body: record({ name: 'web', state: 'stopping', desired: 'removed' }) }
      : problem(404, 'HIVE_SERVICE_UNKNOWN'),
  )
  assert.equal((await hive(['kill', 'web', '--url', stub.url])).stdout, 'cocoons:web  removed  - (native)\n')
})

test('start waits for the new attempt, not for the old one that still stands in the first answers', async (t) => {
  let gets = 0
  const stub = await startStubHive(t, ({ method }) => {
    if (method === 'GET') gets += 1
    return ok(record({ name: 'web', ...(gets < 3 ? { ...stopped, attempt: 1 } : { attempt: 2, pid: 222 }) }))
  })
  const ran = await hive(['start', 'web', '--recreate', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:web  running  PID 222 (native)\n')
  const post = stub.seen.find(({ method }) => method === 'POST')
  assert.equal(post?.path, '/services/web/start')
  assert.equal(post?.query.get('recreate'), 'true')
})

test('start right after a stop waits for the new attempt although the old one still runs', async (t) => {
  let gets = 0
  const stub = await startStubHive(t, ({ method }) => {
    if (method === 'GET') gets += 1
    const desired = method === 'GET' && gets === 1 ? 'stopped' : 'running'
    return ok(record({ name: 'web', desired, attempt: gets < 3 ? 1 : 2, pid: gets < 3 ? 111 : 222 }))
  })
  const ran = await hive(['start', 'web', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:web  running  PID 222 (native)\n')
})

test('start of what runs already is done at once', async (t) => {
  const stub = await startStubHive(t, () => ok(record({ name: 'web' })))
  const ran = await hive(['start', 'web', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:web  running  PID 12345 (native)\n')
  assert.equal(stub.seen.length, 2)
})

test('restart does not take the running old attempt for the new one', async (t) => {
  let asked = false
  let getsAfter = 0
  const stub = await startStubHive(t, ({ method }) => {
    if (method === 'POST') asked = true
    if (method === 'GET' && asked) getsAfter += 1
    return ok(record({ name: 'web', attempt: getsAfter < 2 ? 4 : 5, pid: getsAfter < 2 ? 111 : 222 }))
  })
  const ran = await hive(['restart', 'web', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:web  running  PID 222 (native)\n')
  assert.equal(getsAfter, 2)
})

test('start gives up when someone stops the cocoon meanwhile', async (t) => {
  const stub = await startStubHive(t, ({ method }) =>
    ok(record({ name: 'web', ...stopped, desired: method === 'POST' ? 'running' : 'stopped' })),
  )
  assert.equal((await hive(['start', 'web', '--url', stub.url])).code, 7)
})

test('--no-wait returns with the first answer', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 202, body: record({ name: 'web', state: 'stopping' }) }))
  const ran = await hive(['stop', 'web', '--no-wait', '--url', stub.url])
  assert.equal(ran.stdout, 'cocoons:web  stopping  PID 12345 (native)\n')
  assert.equal(stub.seen.length, 1)
})

test('a conflict exits 6 and names that cannot be names exit 2 without a request', async (t) => {
  const stub = await startStubHive(t, () => problem(409, 'HIVE_STATE_CONFLICT'))
  const conflict = await hive(['start', 'web', '--url', stub.url])
  assert.equal(conflict.code, 6)
  assert.match(conflict.stderr, /title of HIVE_STATE_CONFLICT\ndetail of HIVE_STATE_CONFLICT/)
  for (const name of ['..', 'a/b', '', 'cocoons:', 'a?b', '.']) {
    assert.equal((await hive(['kill', name, '--url', stub.url])).code, 2, name)
  }
  assert.equal(stub.seen.length, 1)
})

test('many names are worked on side by side, but not all at once', async (t) => {
  let open = 0
  let most = 0
  const stub = await startStubHive(t, async (seen) => {
    open += 1
    most = Math.max(most, open)
    await new Promise((resolve) => setImmediate(resolve))
    open -= 1
    return ok(record({ name: nameOf(seen), ...stopped }))
  })
  const names = Array.from({ length: 60 }, (_, index) => `c${index}`)
  const ran = await hive(['stop', ...names, '--url', stub.url])
  assert.deepEqual(
    ran.stdout.trim().split('\n'),
    names.map((name) => `cocoons:${name}  stopped  - (native)`),
  )
  assert.ok(most <= 16, `${most} at once`)
})
