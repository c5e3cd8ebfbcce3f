import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openHive } from '../support/hive.ts'
import { startCollector } from '../support/otlp-collector.ts'
import { ownPortRange } from '../support/port-range.ts'
import { ECHO, tracingTo } from '../support/tracing.ts'

test('a planted secret is in no span, and names of spans hold nothing of a request', async (t) => {
  const secret = (what: string) => `planted-${what}-${randomBytes(8).toString('hex')}`
  const planted = { token: secret('token'), setup: secret('setup'), value: secret('value'), query: secret('query') }
  const collector = await startCollector(t)
  const environment = { VALUE: planted.value }
  const hive = await openHive(t, {
    kinds: [
      { id: 'good', runner_type: 'script', runner_config: { ...ECHO, environment } },
      {
        id: 'bad',
        runner_type: 'script',
        runner_config: { command: 'sh', args: ['-c', 'exit 7'], environment, restart: 'never' },
      },
    ],
    env: {
      ...tracingTo(collector),
      HIVE_PORT_RANGE: ownPortRange(),
      HIVE_TOKEN: planted.token,
      OTEL_EXPORTER_OTLP_HEADERS: `x-key=${secret('header')}`,
    },
  })
  const body = { setup_token: planted.setup, environment: { ASKED: planted.value } }
  for (const kind of ['good', 'bad'])
    await hive.call('POST', '/spawn?wait=ready', { kind, name: `${kind}-one`, ...body })
  await hive.call('POST', '/spawn', { kind: 'none', ...body })
  const fields = { cookie: planted.query, authorization: `Bearer ${planted.query}`, 'hive-token': planted.token }
  const answer = await hive.call(
    'GET',
    `/cocoons/good-one/deep/path?key=${planted.query}#${planted.query}`,
    undefined,
    fields,
  )
  assert.equal(answer.status, 200)
  await hive.call('GET', '/services/good-one')
  await hive.call('DELETE', '/services/good-one')
  // The last span there is: what was made before is on its way or here.
  await collector.one('DELETE /services/:name')
  await hive.close()

  const names = [...new Set(collector.spans.map(({ name }) => name))].sort()
  assert.deepEqual(names, [
    'DELETE /services/:name',
    'GET /cocoons/:name/*',
    'GET /services/:name',
    'POST /spawn',
    'first_byte',
    'queued',
    'ready',
    'spawn',
    'start',
  ])
  assert.ok(collector.text().includes('/cocoons/good-one/deep/path'))
  assert.ok(!collector.text().includes('planted'))
})
