import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { serverBench } from '../support/hive-server.ts'
import { type CollectorAnswer, startCollector } from '../support/otlp-collector.ts'
import { ownPortRange } from '../support/port-range.ts'
import { ECHO, tracingTo } from '../support/tracing.ts'

const WARNING = 'the trace collector takes no spans'
/** Far beyond what any test waits: only what breaks an export off ends it. */
const FOR_EVER = { OTEL_EXPORTER_OTLP_TIMEOUT: '600000' }
const kinds = [{ id: 'echo', runner_type: 'script', runner_config: ECHO }]

const hang: CollectorAnswer = () => undefined

function open(t: TestContext, env: Record<string, string>): Promise<TestHive> {
  return openHive(t, { kinds, env: { HIVE_PORT_RANGE: ownPortRange(), ...env } })
}

async function use(hive: TestHive, times: number): Promise<void> {
  await hive.spawn({ kind: 'echo', name: 'web' })
  for (let i = 0; i < times; i++) assert.equal((await hive.call('GET', '/cocoons/web/')).status, 200)
}

function warnings(hive: TestHive): number {
  return hive.log().split(WARNING).length - 1
}

test('a collector that refuses costs nobody an answer and one warning', async (t) => {
  const collector = await startCollector(t, (res) => res.writeHead(400).end('planted'))
  const hive = await open(t, tracingTo(collector))
  await use(hive, 20)
  await until(() => collector.headers.length >= 3, 10_000, 'three exports')
  await hive.close()
  assert.equal(warnings(hive), 1, hive.log())
  assert.match(hive.log(), /it answered 400/)
  assert.ok(!hive.log().includes('planted'))
})

test('a collector that is not there is said once, without its address', async (t) => {
  const port = await freePort()
  const hive = await open(t, { ...tracingTo({ url: `http://127.0.0.1:${port}` }), OTEL_EXPORTER_OTLP_TIMEOUT: '300' })
  await use(hive, 5)
  await until(() => warnings(hive) > 0, 10_000, 'the warning')
  await hive.close()
  assert.equal(warnings(hive), 1)
  assert.match(hive.log(), /ECONNREFUSED/)
  assert.ok(!hive.log().includes(String(port)))
})

test('what a collector that is busy for a moment was to get, it gets', async (t) => {
  const collector = await startCollector(t, (res, exports) => res.writeHead(exports < 3 ? 503 : 200).end())
  const hive = await open(t, tracingTo(collector))
  await use(hive, 1)
  await collector.one('spawn')
  await hive.close()
  assert.equal(warnings(hive), 0)
})

test('a collector that hangs holds neither requests nor the end of Hive', async (t) => {
  const collector = await startCollector(t, hang)
  const hive = await open(t, { ...tracingTo(collector), ...FOR_EVER })
  await use(hive, 20)
  await until(() => collector.headers.length > 0, 10_000, 'an export')
  await within(hive.close(), 20_000, 'the end')
})

test('a server whose collector hangs exits by itself, with 0', async (t) => {
  const collector = await startCollector(t, hang)
  const bench = await serverBench(t, { ...tracingTo(collector), ...FOR_EVER })
  const server = bench.start()
  await server.call('GET', '/services')
  await until(() => collector.headers.length > 0, 10_000, 'an export')
  server.child.kill('SIGTERM')
  assert.equal(await server.exit(), 0, server.output())
  assert.ok(!server.output().includes('took too long'), server.output())
})

test('the last spans are sent before the end, packed and with the headers asked for', async (t) => {
  const collector = await startCollector(t)
  const bench = await serverBench(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20planted',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_BSP_SCHEDULE_DELAY: '600000',
  })
  const server = bench.start()
  await server.call('GET', '/services')
  server.child.kill('SIGTERM')
  assert.equal(await server.exit(), 0, server.output())
  assert.deepEqual(
    collector.spans.map(({ name }) => name),
    ['GET /services'],
  )
  assert.equal(collector.headers[0]?.authorization, 'Bearer planted')
  assert.equal(collector.headers[0]?.['content-encoding'], 'gzip')
  assert.ok(!server.output().includes('planted'))
})

test('a server with wrong settings for traces exits with 78 and says each', async (t) => {
  const bench = await serverBench(t, { OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense', OTEL_TRACES_EXPORTER: 'zipkin' })
  const server = bench.start()
  assert.equal(await server.exit(), 78)
  assert.match(server.output(), /OTEL_EXPORTER_OTLP_ENDPOINT/)
  assert.match(server.output(), /OTEL_TRACES_EXPORTER/)
})
