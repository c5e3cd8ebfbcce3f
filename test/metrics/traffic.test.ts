import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { it, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { until } from '../support/deadline.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'
import { requestedRow } from '../support/service-row.ts'

const WORKER = new URL('../../examples/worker/worker.mjs', import.meta.url).pathname
const PROMTOOL = '/usr/bin/promtool'
const KINDS = [
  { id: 'native', runner_type: 'script', runner_config: { command: process.execPath, args: [WORKER], port: 8080 } },
]

async function proxying(t: TestContext): Promise<TestHive> {
  const hive = await openHive(t, { kinds: KINDS, env: { HIVE_PORT_RANGE: ownPortRange() } })
  await hive.spawn({ kind: 'native', name: 'web' })
  return hive
}

/** The value of one line of /metrics; NaN = there is none. */
async function value(hive: TestHive, line: string): Promise<number> {
  const { text } = await hive.call('GET', '/metrics')
  const found = text.split('\n').find((each) => each.startsWith(`${line} `))
  return Number(found?.slice(line.length + 1) ?? Number.NaN)
}

it('metrics: proxied requests are counted by kind and class, with their time and their bytes both ways', async (t) => {
  const hive = await proxying(t)
  const answer = await fetch(`${hive.url}/cocoons/web/health`)
  const size = (await answer.arrayBuffer()).byteLength
  const posted = await fetch(`${hive.url}/cocoons/web/echo`, { method: 'POST', body: 'x'.repeat(1_000) })
  await posted.arrayBuffer()
  assert.equal((await fetch(`${hive.url}/cocoons/nobody/`)).status, 404)
  assert.equal(await value(hive, 'hive_proxy_requests_total{kind="native",status="2xx"}'), 2)
  assert.equal(await value(hive, 'hive_proxy_requests_total{kind="none",status="4xx"}'), 1)
  assert.equal(await value(hive, 'hive_proxy_request_seconds_count{kind="native"}'), 2)
  assert.equal(await value(hive, 'hive_proxy_request_seconds_bucket{le="+Inf",kind="native"}'), 2)
  assert.ok((await value(hive, 'hive_proxy_request_seconds_sum{kind="native"}')) > 0)
  assert.equal(await value(hive, 'hive_proxy_bytes_total{kind="native",direction="in"}'), 1_000)
  assert.ok((await value(hive, 'hive_proxy_bytes_total{kind="native",direction="out"}')) >= size)
})

it('metrics: an open tunnel is counted as long as it is open, and its bytes at once', async (t) => {
  const hive = await proxying(t)
  const socket = new WebSocket(`${hive.url.replace('http', 'ws')}/cocoons/web/ws`)
  t.after(() => socket.terminate())
  await once(socket, 'open')
  assert.equal(await value(hive, 'hive_proxy_tunnels{kind="native"}'), 1)
  assert.equal(await value(hive, 'hive_proxy_requests_total{kind="native",status="1xx"}'), 1)
  const before = await value(hive, 'hive_proxy_bytes_total{kind="native",direction="in"}')
  socket.send('y'.repeat(5_000))
  const grown = async () =>
    (await value(hive, 'hive_proxy_bytes_total{kind="native",direction="in"}')) >= before + 5_000
  await until(grown, 5_000, 'the bytes')
  socket.close()
  await until(async () => (await value(hive, 'hive_proxy_tunnels{kind="native"}')) === 0, 5_000, 'the end')
})

it('metrics: an upgrade that comes to nothing is counted by its answer', async (t) => {
  const hive = await proxying(t)
  const socket = new WebSocket(`${hive.url.replace('http', 'ws')}/cocoons/nobody/ws`)
  const [error] = await once(socket, 'error')
  assert.match(String(error), /404/)
  assert.equal(await value(hive, 'hive_proxy_requests_total{kind="none",status="4xx"}'), 1)
  assert.equal(await value(hive, 'hive_proxy_tunnels{kind="none"}'), 0)
})

it('metrics: kinds that are not configured share one label, and a restart is counted by what ended the attempt', async () => {
  const rows = [requestedRow()]
  const metrics = createMetrics({ kinds: ['web'], services: () => rows, runners: () => [], signaling: () => 'off' })
  const [row] = rows
  assert.ok(row)
  metrics.serviceChanged(row, null)
  const exit = { code: 137, signal: 'SIGKILL', reason: 'oom', oom: true } as const
  const ended = { ...row, record: { ...row.record, state: 'failed' as const, exit } }
  metrics.serviceChanged(ended, row)
  const again = { ...row, intent: { ...row.intent, by: 'restart' as const }, record: { ...row.record, attempt: 2 } }
  metrics.serviceChanged(again, ended)
  for (const kind of ['gone-1', 'gone-2']) metrics.traffic.of(kind).answered(200, 3)
  metrics.traffic.of('web').answered(0, 1)
  metrics.traffic.of('web').answered(999, 40_000)
  const text = await metrics.render()
  for (const line of [
    'hive_services{kind="other",state="requested"} 1',
    'hive_restarts_total{kind="other",reason="oom"} 1',
    'hive_proxy_requests_total{kind="other",status="2xx"} 2',
    'hive_proxy_requests_total{kind="web",status="gone"} 1',
    'hive_proxy_requests_total{kind="web",status="5xx"} 1',
    'hive_proxy_request_seconds_bucket{le="0.001",kind="web"} 1',
    'hive_proxy_request_seconds_bucket{le="30",kind="web"} 1',
    'hive_proxy_request_seconds_bucket{le="+Inf",kind="web"} 2',
    'hive_proxy_request_seconds_bucket{le="0.0025",kind="other"} 0',
    'hive_proxy_request_seconds_bucket{le="0.005",kind="other"} 2',
  ])
    assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`)
  assert.match(text, /^hive_nodejs_eventloop_lag_seconds \d/m)
  assert.ok(!/gone-[12]/.test(text))
})

it('metrics: promtool finds nothing wrong with those of a busy proxy', {
  skip:
    existsSync(PROMTOOL) || process.env['HIVE_TEST_ENGINES'] === 'required' ? false : `${PROMTOOL} is not installed`,
}, async (t) => {
  const hive = await proxying(t)
  await (await fetch(`${hive.url}/cocoons/web/health`)).arrayBuffer()
  const { text } = await hive.call('GET', '/metrics')
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(PROMTOOL, ['check', 'metrics'], (error, stdout, stderr) =>
      error ? reject(new Error(stdout + stderr)) : resolve(stdout + stderr),
    )
    child.stdin?.end(text)
  })
  assert.equal(output, '')
})
