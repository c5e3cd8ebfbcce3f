import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import WebSocket from 'ws'
import { until } from '../support/deadline.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { followLines } from '../support/log-reader.ts'
import { exchangeRaw, get, parseAnswer } from '../support/raw-http.ts'
import { HTTPD } from '../support/script-bench.ts'

const ECHO = join(import.meta.dirname, '..', 'support', 'fixtures', 'echo-worker.mjs')
const SLEEPER = {
  command: process.execPath,
  args: [HTTPD],
  port: 8080,
  idle_timeout: '1s',
  wake: true,
  restart: 'never',
}

function kind(id: string, config: object) {
  return { id, runner_type: 'script', runner_config: config }
}

const kinds = [
  kind('sleeper', SLEEPER),
  kind('slow', { ...SLEEPER, command: 'sh', args: ['-c', `sleep 3; exec "${process.execPath}" "${HTTPD}"`] }),
  kind('echo', { ...SLEEPER, args: [ECHO] }),
  kind('busy', { command: 'sh', args: ['-c', 'while :; do :; done'], idle_timeout: '1s', restart: 'never' }),
  kind('short', { command: 'sleep', args: ['1000'], ttl: '1s', restart: 'never' }),
]

let first = 25_000 + Math.floor(Math.random() * 30) * 100

/** Ports of each test's own, apart from those that other suites use. */
function ownPorts() {
  first += 100
  return { HIVE_PORT_RANGE: `${first}-${first + 99}` }
}

async function show(hive: TestHive, name: string, query = '') {
  const { body } = await hive.call('GET', `/services/${name}${query}`)
  return body.service ?? body
}

async function asleep(hive: TestHive, name: string) {
  const record = await show(hive, name, '?wait=stopped&timeout_s=15')
  assert.deepEqual([record.state, record.exit?.reason, record.desired], ['stopped', 'idle', 'stopped'])
  return record
}

const visit = (hive: TestHive, name: string) => fetch(`${hive.url}/cocoons/${name}/`)

test('an idle cocoon is stopped, and 100 requests at once wake it by one start and are all answered', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  const born = await hive.spawn({ kind: 'sleeper', name: 'web' })
  assert.ok(Date.parse(born.idle_at ?? '') > Date.parse(born.ready_at ?? ''))
  const { idle_at } = await asleep(hive, 'web')
  assert.equal(idle_at, null)
  const answers = await Promise.all(Array.from({ length: 100 }, () => visit(hive, 'web')))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  await Promise.all(answers.map((answer) => answer.text()))
  const { attempt, restarts, state } = await show(hive, 'web')
  assert.deepEqual([attempt, restarts, state], [2, 1, 'running'])
  await asleep(hive, 'web')
  assert.equal((await visit(hive, 'web')).status, 200)
})

test('a stop by hand, also of a sleeping cocoon, and a DELETE are never undone by a request', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  await hive.spawn({ kind: 'sleeper', name: 'web' })
  await asleep(hive, 'web')
  await hive.call('POST', '/services/web/stop?wait=stopped')
  const refused = await visit(hive, 'web')
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, null])
  await hive.call('POST', '/services/web/start?wait=ready')
  await asleep(hive, 'web')
  await hive.call('DELETE', '/services/web')
  assert.equal((await visit(hive, 'web')).status, 410)
  assert.equal((await show(hive, 'web')).state, 'removed')
})

test('a request that is held while its sleeper is woken is refused when a DELETE comes first, and nothing comes back', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  await hive.spawn({ kind: 'slow', name: 'web' })
  await asleep(hive, 'web')
  const held = visit(hive, 'web')
  await until(async () => (await show(hive, 'web')).desired === 'running', 10_000, 'the wake')
  await hive.call('DELETE', '/services/web')
  const refused = await held
  assert.ok([410, 503].includes(refused.status), `${refused.status}`)
  assert.equal(refused.headers.get('retry-after'), null)
  assert.equal((await visit(hive, 'web')).status, 410)
  const { state, attempt } = await show(hive, 'web')
  assert.deepEqual([state, attempt], ['removed', 2])
})

test('a browser that waits longer than 2 s for a sleeper gets a page that asks again; others are held', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  await hive.spawn({ kind: 'slow', name: 'web' })
  await asleep(hive, 'web')
  const patient = visit(hive, 'web')
  // Not by fetch, which says of itself that it is no navigation.
  const page = parseAnswer(
    await exchangeRaw(t, hive.port, get('/cocoons/web/', 'Accept: text/html', 'Connection: close')),
  )
  assert.equal(page.status, 503)
  assert.match(page.body, /<meta http-equiv="refresh" content="1">/)
  assert.equal((await patient).status, 200)
})

test('an upgrade to a sleeper is held; pings keep nothing alive, data does', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  await hive.spawn({ kind: 'echo', name: 'web' })
  await asleep(hive, 'web')
  const socket = new WebSocket(`ws://127.0.0.1:${hive.port}/cocoons/web/`)
  t.after(() => socket.terminate())
  const echoes: string[] = []
  socket.on('message', (data) => echoes.push(String(data)))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  // Three times its idle limit: it lives because of the data alone.
  for (const end = performance.now() + 3_000; performance.now() < end; ) {
    socket.send('x')
    const count = echoes.length
    await until(() => echoes.length > count, 5_000, 'an echo')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const { body } = await hive.call('GET', '/services/web/activity')
  assert.deepEqual([body.last.cause, body.wake, body.idle_timeout_ms], ['tunnel', true, 1_000])
  assert.equal((await show(hive, 'web')).attempt, 2)
  const pings = setInterval(() => socket.ping(), 50)
  t.after(() => clearInterval(pings))
  await asleep(hive, 'web')
  clearInterval(pings)
  await closed
})

test('who follows its log keeps a cocoon alive until he goes', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  await hive.spawn({ kind: 'sleeper', name: 'web' })
  const over = new AbortController()
  t.after(() => over.abort())
  const path = `${hive.url}/services/web/logs?follow=true&tail=0`
  const following = followLines(path, hive.token, { onLine: () => undefined, signal: over.signal })
  following.catch(() => undefined) // it is told to stop
  const activity = async () => (await hive.call('GET', '/services/web/activity')).body
  await until(async () => (await activity()).log_followers === 1, 5_000, 'the follower')
  const { idle_at, last } = await activity()
  assert.equal(last.cause, 'logs')
  await until(() => Date.now() > Date.parse(idle_at) + 500, 10_000, 'its idle limit')
  const { state, attempt } = await show(hive, 'web')
  assert.deepEqual([state, attempt], ['running', 1])
  over.abort()
  await asleep(hive, 'web')
  assert.deepEqual([(await activity()).log_followers, (await activity()).last.cause], [0, 'logs'])
})

test('what its probes said is there after a restart of Hive, too', async (t) => {
  const checked = kind('checked', { ...SLEEPER, idle_timeout: '1h', health_check: { type: 'tcp' } })
  const first = await openHive(t, { kinds: [checked], env: ownPorts() })
  await first.spawn({ kind: 'checked', name: 'web' })
  await first.call('DELETE', '/services/web')
  const before = (await first.call('GET', '/services/web/post-mortem')).body
  assert.ok(before.probes.length > 0)
  await first.close()
  const second = await openHive(t, { kinds: [checked], env: ownPorts(), directory: first.directory })
  const after = (await second.call('GET', '/services/web/post-mortem')).body
  assert.deepEqual(after.probes, before.probes)
  assert.deepEqual((await second.call('GET', '/services/web/health')).body.probes, before.probes)
})

test('a touch is a lease that outlives a restart of Hive; the activity says so', async (t) => {
  const first = await openHive(t, { kinds, env: ownPorts() })
  await first.spawn({ kind: 'sleeper', name: 'web' })
  const touched = await first.call('POST', '/services/web/touch', { seconds: 600 })
  assert.ok(Date.parse(touched.body.idle_at) > Date.now() + 500_000)
  const { body } = await first.call('GET', '/services/web/activity')
  assert.equal(body.last.cause, 'touch')
  await first.close()
  const second = await openHive(t, { kinds, env: ownPorts(), directory: first.directory })
  const record = await show(second, 'web', '?wait=ready')
  assert.ok(Date.parse(record.idle_at) > Date.now() + 500_000)
  assert.equal((await second.call('POST', '/services/web/touch', { seconds: -1 })).status, 400)
  await second.call('POST', '/services/web/touch', { seconds: 0 })
  await asleep(second, 'web')
  await second.spawn({ kind: 'short', name: 'other' })
  assert.equal((await second.call('POST', '/services/other/touch', { seconds: 5 })).status, 409)
})

test('a cocoon that computes is not idle, whoever asks for it', async (t) => {
  const hive = await openHive(t, { kinds, env: ownPorts() })
  await hive.spawn({ kind: 'busy', name: 'job' })
  const caused = async () => (await hive.call('GET', '/services/job/activity')).body.last?.cause === 'cpu'
  await until(caused, 10_000, 'noticing the CPU time')
  const { ready_at } = await show(hive, 'job')
  await until(() => Date.now() - Date.parse(ready_at) > 3_000, 10_000, 'three idle limits')
  assert.equal((await show(hive, 'job')).state, 'running')
})

test('a ttl removes the cocoon at expires_at, after a restart of Hive, too', async (t) => {
  const first = await openHive(t, { kinds, env: ownPorts() })
  const { expires_at, created_at } = await first.spawn({ kind: 'short', name: 'brief' })
  assert.equal(Date.parse(expires_at ?? '') - Date.parse(created_at), 1_000)
  await first.close()
  const second = await openHive(t, { kinds, env: ownPorts(), directory: first.directory })
  const record = await show(second, 'brief', '?wait=gone&timeout_s=15')
  assert.deepEqual([record.state, record.exit?.reason], ['removed', 'ttl'])
  assert.ok(Date.parse(record.ended_at) >= Date.parse(expires_at ?? ''))
})
