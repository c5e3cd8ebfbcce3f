import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { ask, environmentOf, envOf, recordOf, workerKind } from '../support/exposure.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const db = (config: object = {}, expose: object = {}) =>
  workerKind('db', 'script', { restart: 'never', ...config, expose: { name: 'db', ...expose } })
const app = (uses: object = {}, config: object = {}) =>
  workerKind('app', 'script', { ...config, uses: [{ name: 'db', ...uses }] })

function open(t: TestContext, kinds: readonly object[], more: Parameters<typeof openHive>[1] = {}): Promise<TestHive> {
  return openHive(t, { ...more, kinds, env: { ...envOf(), ...more.env } })
}

async function waiting(hive: TestHive, name: string, why: RegExp): Promise<void> {
  const says = async () => why.test((await recordOf(hive, name)).error?.detail ?? '')
  await until(says, 10_000, `${name} saying ${why}`)
  assert.equal((await recordOf(hive, name)).state, 'preparing')
}

async function ready(hive: TestHive, name: string) {
  const { body, text } = await hive.call('GET', `/services/${name}?wait=ready&timeout_s=30`)
  assert.equal(body.ready, true, text)
  return body
}

test('one that nobody provides for in time is rejected, and says what it waited for; started again it waits again', async (t) => {
  const hive = await open(t, [db(), app()], { env: { HIVE_USES_TIMEOUT: '1s' } })
  const { status, body } = await hive.call('POST', '/spawn?wait=ready', { kind: 'app', name: 'app' })
  assert.deepEqual([status, body.code], [424, 'HIVE_START_FAILED'])
  assert.deepEqual(
    [body.service.state, body.service.error],
    [
      'rejected',
      { code: 'HIVE_PROVIDER_MISSING', detail: 'it waits for "db": no cocoon exposes that; it waited for 1 s' },
    ],
  )
  await hive.spawn({ kind: 'db', name: 'pg' })
  await hive.call('POST', '/services/app/start')
  assert.equal((await ready(hive, 'app')).uses[0].service, 'pg')
})

test('a DELETE of one that waits wins at once', async (t) => {
  const hive = await open(t, [db(), app()])
  await hive.spawn({ kind: 'app', name: 'app' }, '?wait=none')
  await waiting(hive, 'app', /no cocoon exposes/)
  const { status, body } = await hive.call('DELETE', '/services/app')
  assert.deepEqual([status, body.state], [200, 'removed'])
})

test('so does a stop, and a start waits again', async (t) => {
  const hive = await open(t, [db(), app()])
  await hive.spawn({ kind: 'app', name: 'app' }, '?wait=none')
  await waiting(hive, 'app', /no cocoon exposes/)
  assert.equal((await hive.call('POST', '/services/app/stop?wait=stopped')).body.state, 'stopped')
  await hive.call('POST', '/services/app/start')
  await waiting(hive, 'app', /no cocoon exposes/)
})

test('it waits for one that starts, and for one that fails its checks, and says so', async (t) => {
  const directory = await tempDirectory(t)
  const well = join(directory, 'well')
  const check = { type: 'cmd', command: ['test', '-e', well], interval: '100ms', retries: 1 }
  const hive = await open(t, [db({ health_check: check }), app()])
  await hive.spawn({ kind: 'db', name: 'pg' }, '?wait=none')
  await hive.spawn({ kind: 'app', name: 'app' }, '?wait=none')
  await waiting(hive, 'app', /: pg is starting/)
  await writeFile(well, '')
  await ready(hive, 'app')
  await hive.spawn({ kind: 'app', name: 'second' })
  await rename(well, `${well}-not`)
  await until(async () => (await recordOf(hive, 'pg')).health === 'failing', 10_000, 'a failing check')
  await hive.spawn({ kind: 'app', name: 'third' }, '?wait=none')
  await waiting(hive, 'third', /: pg is not healthy/)
  await rename(`${well}-not`, well)
  await ready(hive, 'third')
})

test('its own environment, a request’s too, wins over what is shared, and Hive’s own over both; "as" stands for the name', async (t) => {
  const vars = { SHARED: 'shared', OWN: 'shared', ASKED: 'shared', PLACE: '{kind} {host}:{port} {{x}}', PORT: '1' }
  const own = { OWN: 'own', ASKED: 'own', HIVE_USES_MAIN_URL: 'own' }
  const hive = await open(t, [db({}, { vars }), app({ as: 'main' }, { environment: own })])
  const { ports } = await hive.spawn({ kind: 'db', name: 'pg' })
  const port = ports[0]?.host_port
  const mine = await hive.spawn({ kind: 'app', name: 'app', environment: { ASKED: 'asked' } })
  const given = await environmentOf(hive, 'app')
  assert.deepEqual(
    [given['SHARED'], given['OWN'], given['ASKED'], given['PLACE'], given['PORT']],
    ['shared', 'own', 'asked', `db 127.0.0.1:${port} {x}`, `${mine.ports[0]?.port}`],
  )
  assert.equal(given['HIVE_USES_MAIN_URL'], `http://127.0.0.1:${port}`)
  assert.equal(given['HIVE_USES_DB_URL'], undefined)
  const refused = await hive.call('POST', '/spawn', { kind: 'app', environment: { HIVE_USES_DB_URL: 'x' } })
  assert.equal(refused.status, 400)
})

test('of several the oldest provides; a further one moves nobody; a restart in place restarts nobody', async (t) => {
  const hive = await open(t, [db(), app()])
  await hive.spawn({ kind: 'db', name: 'z-first' })
  await hive.spawn({ kind: 'db', name: 'a-second' })
  await hive.spawn({ kind: 'app', name: 'app' })
  await hive.call('POST', '/services/z-first/restart?wait=ready')
  await hive.spawn({ kind: 'db', name: 'third' })
  assert.equal(await ask(hive, 'app', '/via/HIVE_USES_DB_URL'), 'z-first')
  const { attempt, uses } = await recordOf(hive, 'app')
  assert.deepEqual([attempt, uses?.[0]?.service], [1, 'z-first'])
  await hive.call('POST', '/services/z-first/stop?wait=stopped')
  await until(async () => (await ask(hive, 'app', '/via/HIVE_USES_DB_URL')) === 'a-second', 10_000, 'the next one')
})

for (const [what, before, after, why] of [
  ['another secret', { secret: 'x' }, { secret: 'y' }, /asks for another secret than this kind gives/],
  ['no secret', { secret: 'x' }, {}, /asks for a secret, and this kind gives none/],
  ['a secret where none is asked for', {}, { secret: 'y' }, /asks for no secret, and this kind gives one/],
] as const)
  test(`${what} is refused at the launch, too: a cocoon keeps what it was born with`, async (t) => {
    const secrets = [before, after].map((each) =>
      'secret' in each ? { secret: `planted-${each.secret}-${randomBytes(9).toString('hex')}` } : {},
    )
    const [old = {}, fresh = {}] = secrets
    const hive = await open(t, [db({}, old), app(old)])
    await hive.spawn({ kind: 'db', name: 'pg' })
    await hive.close()
    const again = await open(t, [db({}, fresh), app(fresh)], { directory: hive.directory })
    const { status, body, text } = await again.call('POST', '/spawn?wait=ready', { kind: 'app', name: 'app' })
    assert.equal(status, 424, text)
    assert.deepEqual([body.service.state, body.service.error.code], ['rejected', 'HIVE_PROVIDER_SECRET'])
    assert.match(body.service.error.detail, why)
    await again.spawn({ kind: 'db', name: 'pg-2' })
    await again.call('POST', '/services/app/start')
    assert.equal((await ready(again, 'app')).uses[0].service, 'pg-2', 'one with the right secret will do')
    const everything = [text, again.log(), (await again.call('GET', '/exposed')).text].join('\n')
    assert.ok(!everything.includes('planted-'), 'a secret came out')
  })

test('one that is in use is not stopped as idle; one that was is woken for one that waits', async (t) => {
  const hive = await open(t, [db({ idle_timeout: '1s', wake: true }), app()])
  await hive.spawn({ kind: 'db', name: 'pg' })
  await hive.call('GET', '/services/pg?wait=stopped&timeout_s=20')
  assert.equal((await recordOf(hive, 'pg')).exit?.reason, 'idle')
  await hive.spawn({ kind: 'app', name: 'app' })
  const used = async () => (await hive.call('GET', '/services/pg/activity')).body.last?.cause === 'used'
  await until(used, 10_000, 'being in use')
  await hive.call('DELETE', '/services/app')
  const { body } = await hive.call('GET', '/services/pg?wait=stopped&timeout_s=20')
  assert.equal(body.exit?.reason, 'idle')
})

test('a chain is started in its order, whatever the order of the spawns', async (t) => {
  const link = (id: string, to: string | null) =>
    workerKind(id, 'script', { expose: { name: id }, ...(to !== null && { uses: [{ name: to }] }) })
  const hive = await open(t, [link('c', 'b'), link('b', 'a'), link('a', null)])
  for (const kind of ['c', 'b', 'a']) await hive.spawn({ kind, name: `one-${kind}` }, '?wait=none')
  await ready(hive, 'one-c')
  assert.equal(await ask(hive, 'one-c', '/via/HIVE_USES_B_URL'), 'one-b')
  assert.equal(await ask(hive, 'one-b', '/via/HIVE_USES_A_URL'), 'one-a')
  const { events } = await hive.app.events.after(0)
  const told = events.filter(({ type, service }) => type === 'uses' && service?.name === 'one-c')
  const [before, after] = told.map(({ data }) => (data['uses'] as { service: string | null }[])[0]?.service)
  assert.deepEqual([before, after], [null, 'one-b'])
})
