import assert from 'node:assert/strict'
import { createRequire, registerHooks } from 'node:module'
import { test } from 'node:test'
import { openHive } from '../support/hive.ts'
import { startCollector } from '../support/otlp-collector.ts'
import { ownPortRange } from '../support/port-range.ts'
import { ECHO, tracingTo } from '../support/tracing.ts'

const SDK = /opentelemetry\/(?!api\b)|src\/tracing\/(?!tracing\.ts)/
const loaded: string[] = []
registerHooks({
  load(url, context, nextLoad) {
    if (SDK.test(url)) loaded.push(url)
    return nextLoad(url, context)
  },
})

test('off: nothing of it is loaded, and the trace context of a request passes as it is', async (t) => {
  const kinds = [{ id: 'echo', runner_type: 'script', runner_config: ECHO }]
  const hive = await openHive(t, { kinds, env: { HIVE_PORT_RANGE: ownPortRange() } })
  assert.equal(hive.app.tracing, null)
  await hive.spawn({ kind: 'echo', name: 'web' })
  for (const traceparent of ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'nonsense']) {
    const { body } = await hive.call('GET', '/cocoons/web/', undefined, { traceparent, tracestate: 'shop=42' })
    assert.deepEqual([body.headers.traceparent, body.headers.tracestate], [traceparent, 'shop=42'])
  }
  const { body } = await hive.call('GET', '/cocoons/web/')
  assert.equal(body.headers.traceparent, undefined)
  const required = Object.keys(createRequire(import.meta.url).cache).filter((path) => SDK.test(path))
  assert.deepEqual([...loaded, ...required], [])
})

test('on: the same hook sees the SDK being loaded', async (t) => {
  const collector = await startCollector(t)
  await openHive(t, { env: tracingTo(collector) })
  assert.ok(loaded.length > 0)
})
