import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { engineOrSkip, registryOrSkip, TEST_IMAGES } from '../support/engines.ts'
import { openHive } from '../support/hive.ts'
import { type Collector, type SeenSpan, startCollector } from '../support/otlp-collector.ts'
import { ownPortRange } from '../support/port-range.ts'
import { ECHO, tracingTo } from '../support/tracing.ts'

interface Programs {
  readonly runner: 'script' | 'docker' | 'podman'
  readonly skip: string | false
  readonly env: Readonly<Record<string, string>>
  readonly echo: object
  readonly pulled: object | null
}

function container(name: 'docker' | 'podman'): Programs {
  const { type, host, skip } = engineOrSkip(name)
  const registry = registryOrSkip()
  return {
    runner: type,
    skip,
    env: { [name === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST']: host },
    echo: { image: TEST_IMAGES.echo, port: 8080, stop_grace: 0 },
    pulled: registry.skip ? null : { image: `${registry.plain}/hive-test/httpd:1`, pull: 'always', stop_grace: 0 },
  }
}

const script: Programs = { runner: 'script', skip: false, env: {}, echo: ECHO, pulled: null }

/** A caller's own trace. */
function caller() {
  const traceId = randomBytes(16).toString('hex')
  const spanId = randomBytes(8).toString('hex')
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` }
}

for (const programs of [script, container('docker'), container('podman')]) {
  describe(`traces of runner ${programs.runner}`, { skip: programs.skip }, () => {
    it('follow a spawn from the request through its phases to the first byte that a client gets', async (t) => {
      const collector = await startCollector(t)
      const hive = await openHive(t, {
        env: {
          ...programs.env,
          HIVE_PORT_RANGE: ownPortRange(),
          ...tracingTo(collector),
          OTEL_SERVICE_NAME: 'bees',
        },
        kinds: [{ id: 'echo', runner_type: programs.runner, runner_config: programs.echo }],
      })
      const [asked, visited] = [caller(), caller()]
      const { traceparent } = asked
      const spawned = await hive.call('POST', '/spawn?wait=ready', { kind: 'echo', name: 'web' }, { traceparent })
      assert.equal(spawned.status, 201, spawned.text)
      const answer = await hive.call('GET', '/cocoons/web/here?key=planted', undefined, {
        traceparent: visited.traceparent,
        tracestate: 'shop=42',
      })

      const proxied = await collector.one('GET /cocoons/:name/*')
      assert.deepEqual([proxied.traceId, proxied.parentId], [visited.traceId, visited.spanId])
      assert.equal(answer.body.headers.traceparent, `00-${proxied.traceId}-${proxied.spanId}-01`)
      assert.equal(answer.body.headers.tracestate, 'shop=42')
      assert.equal(proxied.attributes['http.response.status_code'], 200)
      assert.equal(proxied.attributes['url.path'], '/cocoons/web/here')

      const first = await collector.one('first_byte')
      const trace = await traceOf(collector, asked.traceId)
      const request = trace.get('POST /spawn')
      const spawn = trace.get('spawn')
      assert.ok(request && spawn)
      assert.equal(request.parentId, asked.spanId)
      assert.equal(spawn.parentId, request.spanId)
      assert.equal(spawn.resource['service.name'], 'bees')
      assert.equal(spawn.attributes['hive.service.id'], spawned.body.id)
      assert.equal(spawn.attributes['hive.runner'], programs.runner)
      assert.equal(first.parentId, spawn.spanId)
      assert.deepEqual(first.links, [{ traceId: proxied.traceId, spanId: proxied.spanId }])
      assertPhases(trace, spawned.body)
    })

    it('link each later attempt to the spawn, below the request that asked for it', async (t) => {
      const collector = await startCollector(t)
      const hive = await openHive(t, {
        env: { ...programs.env, HIVE_PORT_RANGE: ownPortRange(), ...tracingTo(collector) },
        kinds: [{ id: 'echo', runner_type: programs.runner, runner_config: programs.echo }],
      })
      await hive.spawn({ kind: 'echo', name: 'web' })
      const spawn = await collector.one('spawn')
      await hive.call('POST', '/services/web/restart?wait=ready')
      const attempt = await collector.one('attempt')
      const request = await collector.one('POST /services/:name/restart')
      assert.deepEqual([attempt.traceId, attempt.parentId], [request.traceId, request.spanId])
      assert.deepEqual(attempt.links, [{ traceId: spawn.traceId, spanId: spawn.spanId }])
      assert.equal(attempt.attributes['hive.attempt'], 2)
      await collector.find(({ name, parentId }) => name === 'ready' && parentId === attempt.spanId, 'its ready phase')
    })

    it('show a pull', { skip: programs.pulled === null && 'nothing is pulled' }, async (t) => {
      const collector = await startCollector(t)
      const hive = await openHive(t, {
        env: { ...programs.env, HIVE_PORT_RANGE: ownPortRange(), ...tracingTo(collector) },
        kinds: [{ id: 'pulled', runner_type: programs.runner, runner_config: programs.pulled }],
      })
      const record = await hive.spawn({ kind: 'pulled', name: 'web' })
      const spawn = await collector.one('spawn')
      const trace = await traceOf(collector, spawn.traceId)
      assert.equal(duration(trace.get('pull')), record.timings.pull_ms)
      assertPhases(trace, record)
    })
  })
}

/** Its spans by name, once the request that all of it belongs to has ended. */
async function traceOf(collector: Collector, traceId: string): Promise<ReadonlyMap<string, SeenSpan>> {
  await collector.find((span) => span.traceId === traceId && span.name === 'POST /spawn', 'the request')
  await collector.find((span) => span.traceId === traceId && span.name === 'ready', 'the last phase')
  return new Map(collector.spans.filter((span) => span.traceId === traceId).map((span) => [span.name, span]))
}

/** Every phase that the record has a time for is a child of the spawn, as long, in order and inside it. */
function assertPhases(trace: ReadonlyMap<string, SeenSpan>, record: { readonly timings: object }): void {
  const spawn = trace.get('spawn')
  assert.ok(spawn)
  const phases = Object.entries(record.timings).map(([key, ms]) => [key.replace(/_ms$/, ''), ms as number | null])
  let last = spawn.start
  for (const [name, ms] of phases as [string, number | null][]) {
    const span = trace.get(name)
    assert.equal(span === undefined, ms === null, `${name}: ${ms} ms in the record`)
    if (span === undefined) continue
    assert.equal(span.parentId, spawn.spanId, name)
    assert.equal(duration(span), ms, `the length of ${name}`)
    assert.ok(span.end >= last, `${name} ends before the phase ahead of it`)
    assert.ok(span.start >= spawn.start - 1 && span.end <= spawn.end + 1, `${name} lies outside the spawn`)
    last = span.end
  }
}

function duration(span: SeenSpan | undefined): number {
  assert.ok(span)
  return Math.round(span.end - span.start)
}
