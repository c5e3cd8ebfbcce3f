import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { worldOf } from '../support/crash/world.ts'
import { until, within } from '../support/deadline.ts'
import { listen } from '../support/event-reader.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { type Collector, startCollector } from '../support/otlp-collector.ts'
import { ownPortRange } from '../support/port-range.ts'
import { rawConnect, readUntil } from '../support/raw-http.ts'
import { ECHO, tracingTo } from '../support/tracing.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const PROXIED = 'GET /cocoons/:name/*'

async function open(
  t: TestContext,
  env: Record<string, string> = {},
): Promise<{ hive: TestHive; collector: Collector }> {
  const collector = await startCollector(t)
  const kinds = [
    { id: 'echo', runner_type: 'script', runner_config: ECHO },
    { id: 'sleeper', runner_type: 'script', runner_config: { ...ECHO, idle_timeout: '1s', wake: true } },
  ]
  const hive = await openHive(t, { kinds, env: { HIVE_PORT_RANGE: ownPortRange(), ...tracingTo(collector), ...env } })
  return { hive, collector }
}

/** What the cocoon saw of the trace context. */
async function seen(hive: TestHive, headers: Record<string, string>) {
  const { body } = await hive.call('GET', '/cocoons/web/', undefined, headers)
  const { traceparent, tracestate } = body.headers
  return { traceparent, tracestate } as { traceparent: string; tracestate: string | undefined }
}

test('a traceparent that is none begins a new trace, and its tracestate goes with it', async (t) => {
  const { hive } = await open(t)
  await hive.spawn({ kind: 'echo', name: 'web' })
  const wrong = [
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    'nonsense',
  ]
  for (const traceparent of wrong) {
    const { traceparent: given, tracestate } = await seen(hive, { traceparent, tracestate: 'shop=42' })
    assert.match(given, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, traceparent)
    assert.ok(!given.includes(TRACE), `${traceparent} became ${given}`)
    assert.equal(tracestate, undefined, traceparent)
  }
})

test('a traceparent of a later version is understood as far as this one goes', async (t) => {
  const { hive } = await open(t)
  await hive.spawn({ kind: 'echo', name: 'web' })
  const { traceparent } = await seen(hive, { traceparent: `cc-${TRACE}-${SPAN}-01-what-the-future-brings` })
  assert.match(traceparent, new RegExp(`^00-${TRACE}-(?!${SPAN})[0-9a-f]{16}-01$`))
})

test('a trace that is not sampled stays so, and its context is passed on all the same', async (t) => {
  const { hive, collector } = await open(t)
  await hive.spawn({ kind: 'echo', name: 'web' })
  const unsampled = await seen(hive, { traceparent: `00-${TRACE}-${SPAN}-00`, tracestate: 'shop=42' })
  assert.match(unsampled.traceparent, new RegExp(`^00-${TRACE}-(?!${SPAN})[0-9a-f]{16}-00$`))
  assert.equal(unsampled.tracestate, 'shop=42')
  await seen(hive, { traceparent: `00-${'a'.repeat(32)}-${SPAN}-01` })
  await collector.one(PROXIED, ({ traceId }) => traceId === 'a'.repeat(32))
  assert.deepEqual(
    collector.spans.filter(({ traceId }) => traceId === TRACE),
    [],
  )
})

test('parentbased_traceidratio of 0 keeps nothing but what a caller has sampled', async (t) => {
  const { hive, collector } = await open(t, {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  })
  await hive.spawn({ kind: 'echo', name: 'web' })
  assert.match((await seen(hive, {})).traceparent, /-00$/)
  await seen(hive, { traceparent: `00-${TRACE}-${SPAN}-01` })
  await collector.one(PROXIED)
  await hive.close()
  assert.deepEqual([...new Set(collector.spans.map(({ traceId }) => traceId))], [TRACE])
})

test('an upgrade carries the context of its span, which ends with the handshake', async (t) => {
  const { hive, collector } = await open(t)
  await hive.spawn({ kind: 'echo', name: 'web' })
  const socket = new WebSocket(`ws://127.0.0.1:${hive.port}/cocoons/web/ws?key=planted`, {
    headers: { traceparent: `00-${TRACE}-${SPAN}-01` },
  })
  t.after(() => socket.terminate())
  await within(once(socket, 'open'), 5_000, 'the WebSocket to open')
  const span = await collector.one(PROXIED, ({ traceId }) => traceId === TRACE)
  assert.equal(span.parentId, SPAN)
  assert.equal(span.attributes['http.response.status_code'], 101)
  assert.equal(span.attributes['url.path'], '/cocoons/web/ws')
})

test('a request that wakes a cocoon has the attempt below it, linked to the spawn', async (t) => {
  const { hive, collector } = await open(t)
  await hive.spawn({ kind: 'sleeper', name: 'web' })
  await until(async () => (await hive.call('GET', '/services/web')).body.state === 'stopped', 20_000, 'sleep')
  await seen(hive, { traceparent: `00-${TRACE}-${SPAN}-01` })
  const attempt = await collector.one('attempt')
  const request = await collector.one(PROXIED, ({ traceId }) => traceId === TRACE)
  const spawn = await collector.one('spawn')
  assert.deepEqual([attempt.traceId, attempt.parentId], [TRACE, request.spanId])
  assert.deepEqual(attempt.links, [{ traceId: spawn.traceId, spanId: spawn.spanId }])
  assert.ok(request.end >= attempt.end, 'the span of the request lasts as long as it was held')
})

test('an automatic restart begins a trace of its own that links back to the spawn', async (t) => {
  const collector = await startCollector(t)
  const config = {
    command: 'sh',
    args: ['-c', 'exit 7'],
    restart: { policy: 'on-failure', backoff_min: '50ms', max_attempts: 1 },
  }
  const hive = await openHive(t, {
    kinds: [{ id: 'crash', runner_type: 'script', runner_config: config }],
    env: tracingTo(collector),
  })
  await hive.call('POST', '/spawn', { kind: 'crash', name: 'web' }, { traceparent: `00-${TRACE}-${SPAN}-01` })
  const spawn = await collector.one('spawn')
  const attempt = await collector.one('attempt')
  assert.equal(spawn.traceId, TRACE)
  assert.notEqual(attempt.traceId, TRACE)
  assert.equal(attempt.parentId, '')
  assert.deepEqual(attempt.links, [{ traceId: TRACE, spanId: spawn.spanId }])
})

test('spawns at the same time stay each in its own trace', async (t) => {
  const { hive, collector } = await open(t)
  const names = Array.from({ length: 10 }, (_, n) => `web-${n}`)
  const traceOf = (name: string) => name.slice(4).padStart(32, 'a')
  await Promise.all(
    names.map((name) =>
      hive.call('POST', '/spawn?wait=ready', { kind: 'echo', name }, { traceparent: `00-${traceOf(name)}-${SPAN}-01` }),
    ),
  )
  for (const name of names) {
    const spawn = await collector.one('spawn', ({ attributes }) => attributes['hive.service.name'] === name)
    assert.equal(spawn.traceId, traceOf(name))
    const phases = await collector.find(({ parentId }) => parentId === spawn.spanId, 'its phases', 3)
    assert.ok(phases.every(({ traceId }) => traceId === spawn.traceId))
  }
})

test('who follows events and leaves ends the span without an error; a refused spawn is no error of Hive', async (t) => {
  const { hive, collector } = await open(t)
  const reader = listen(t, hive)
  await until(() => reader.got.length > 0, 10_000, 'the greeting')
  reader.stop()
  const followed = await collector.one('GET /events')
  assert.deepEqual([followed.isError, followed.attributes['http.response.status_code']], [false, 200])
  await hive.call('POST', '/spawn', { kind: 'none' })
  const refused = await collector.one('POST /spawn')
  assert.deepEqual([refused.isError, refused.attributes['http.response.status_code']], [false, 422])
})

test('a spawn that fails ends as an error that says why, and refused requests to cocoons are seen', async (t) => {
  const collector = await startCollector(t)
  const config = { command: 'sh', args: ['-c', 'exit 7'], port: 8080, restart: 'never' }
  const hive = await openHive(t, {
    kinds: [{ id: 'crash', runner_type: 'script', runner_config: config }],
    env: { HIVE_PORT_RANGE: ownPortRange(), ...tracingTo(collector) },
  })
  await hive.call('POST', '/spawn?wait=ready', { kind: 'crash', name: 'web' })
  const spawn = await collector.one('spawn')
  assert.ok(spawn.isError)
  assert.deepEqual([spawn.attributes['hive.state'], spawn.attributes['error.type']], ['failed', 'HIVE_START_FAILED'])
  await hive.call('GET', '/cocoons/nobody/')
  const refused = await collector.one(PROXIED)
  assert.deepEqual(
    [refused.attributes['http.response.status_code'], refused.attributes['error.type']],
    [404, 'HIVE_SERVICE_UNKNOWN'],
  )
})

test('a client that leaves before the answer ends the span of its request', async (t) => {
  const { hive, collector } = await open(t)
  await hive.spawn({ kind: 'echo', name: 'web' })
  const client = await rawConnect(t, hive.port)
  const fields = 'Host: localhost\r\nContent-Length: 10\r\nExpect: 100-continue'
  client.write(`POST /cocoons/web/ HTTP/1.1\r\n${fields}\r\n\r\nhalf`)
  await readUntil(client, (text) => text.includes('100 Continue'))
  client.destroy()
  const span = await collector.one('POST /cocoons/:name/*')
  assert.ok(span.isError)
  assert.equal(span.attributes['http.response.status_code'], undefined)
})

test('a server of its own, built with one copy of the API and exporting through another, goes on with a trace', async (t) => {
  const collector = await startCollector(t)
  const world = await worldOf(t, { env: tracingTo(collector) })
  const { url, token } = await world.start()
  await fetch(`${url}/services`, {
    headers: { authorization: `Bearer ${token}`, traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'shop=42' },
  })
  const { traceId, parentId, traceState } = await collector.one('GET /services')
  assert.deepEqual([traceId, parentId, traceState], [TRACE, SPAN, 'shop=42'])
})
