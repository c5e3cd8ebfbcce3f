import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { HiveEvent } from '../../src/events/event.ts'
import { until, within } from '../support/deadline.ts'
import { listen } from '../support/event-reader.ts'
import { FEATURE_RUNNERS, type FeatureRunner } from '../support/feature-kinds.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { type AnyLine, followLines, linesOf, logText, outputOf } from '../support/log-reader.ts'
import { ownPortRange } from '../support/port-range.ts'
import { startReceiver, WEBHOOK_SECRET } from '../support/webhook-receiver.ts'

const PATIENCE_MS = 30_000

async function open(t: TestContext, runner: FeatureRunner, more: object = {}): Promise<TestHive> {
  const { env = {}, ...options } = more as { env?: Record<string, string> }
  return openHive(t, {
    kinds: runner.kinds,
    env: { HIVE_PORT_RANGE: ownPortRange(), ...runner.env, ...env },
    ...options,
  })
}

/** Tells the program of a cocoon to do something. */
async function tell(hive: TestHive, name: string, path: string): Promise<number> {
  const answer = await fetch(`${hive.url}/cocoons/${name}${path}`)
  await answer.arrayBuffer()
  return answer.status
}

async function show(hive: TestHive, name: string, query = '') {
  const { body } = await hive.call('GET', `/services/${name}${query}`)
  return body.service ?? body
}

/** The record, once it runs its nth attempt and is ready. */
function readyAgain(hive: TestHive, name: string, attempt: number) {
  return until(
    async () => {
      const record = await show(hive, name)
      return record.attempt === attempt && record.ready ? record : null
    },
    PATIENCE_MS,
    `attempt ${attempt} of ${name}`,
  )
}

/** The events of one cocoon so far, once one of a type has come. */
async function told(t: TestContext, hive: TestHive, query: string, enough: (events: readonly HiveEvent[]) => boolean) {
  const reader = listen(t, hive, query)
  await until(() => enough(reader.events()), PATIENCE_MS, `the events of ${query}`)
  reader.stop()
  await reader.done
  return reader.events()
}

const statesOf = (events: readonly HiveEvent[]) =>
  events.filter(({ type }) => type === 'state').map(({ data }) => data['state'])

/** Follows a log until that many of its lines have come. */
async function follow(t: TestContext, hive: TestHive, name: string, count: number): Promise<AnyLine[]> {
  const got: AnyLine[] = []
  const stop = new AbortController()
  t.after(() => stop.abort())
  const url = `${hive.url}/services/${name}/logs?follow=true`
  await within(
    followLines(url, hive.token, {
      signal: stop.signal,
      onLine: (line) => {
        if (got.push(line) === count) stop.abort()
      },
    }).catch((error) => {
      if (!stop.signal.aborted) throw error
    }),
    PATIENCE_MS,
    `${count} lines`,
  )
  return got
}

for (const runner of FEATURE_RUNNERS)
  describe(`features on ${runner.name}`, { skip: runner.skip }, () => {
    test('an exit is followed by a restart at the time that was told, and its log goes on', async (t) => {
      const hive = await open(t, runner)
      await hive.spawn({ kind: 'again', name: 'web' })
      const following = follow(t, hive, 'web', 4)
      assert.equal(await tell(hive, 'web', '/exit'), 200)
      const record = await readyAgain(hive, 'web', 2)
      assert.deepEqual([record.restarts, record.next_attempt_at, record.exit], [1, null, null])
      const events = await told(t, hive, '?after=0&name=web&type=exit,restart', ({ length }) => length >= 2)
      assert.deepEqual(
        events.map(({ type, data }) => [type, data['code'] ?? data['attempt']]),
        [
          ['exit', 7],
          ['restart', 2],
        ],
      )
      assert.ok(Date.parse(record.started_at) >= Date.parse(String(events[1]?.data['next_attempt_at'])))

      const lines = await following
      assert.deepEqual(
        lines.map(({ seq }) => seq),
        [1, 2, 3, 4],
      )
      assert.equal(outputOf(lines, 'stdout'), 'born\nborn\n')
      assert.equal(outputOf(lines, 'stderr'), 'to stderr\nto stderr\n')
      const only = async (query: string) => linesOf(await logText(hive, 'web', query)).map(({ seq }) => seq)
      assert.deepEqual(await only('?after=2'), [3, 4])
      assert.deepEqual(await only('?tail=1'), [4])
      const since =
        lines
          .slice(2)
          .map(({ time }) => time)
          .sort()[0] ?? ''
      assert.deepEqual(await only(`?since=${encodeURIComponent(since)}`), [3, 4])
    })

    test('failed health is told, ends it, and is followed by a restart; probes are in the post-mortem', async (t) => {
      const hive = await open(t, runner)
      await hive.spawn({ kind: 'checked', name: 'web' })
      await tell(hive, 'web', '/sick')
      const record = await readyAgain(hive, 'web', 2)
      assert.deepEqual([record.health, record.restarts], ['passing', 1])
      const events = await told(t, hive, '?after=0&name=web', (all) => all.some(({ type }) => type === 'restart'))
      const of = (type: string, field: string) =>
        events.filter((event) => event.type === type).map((e) => e.data[field])
      assert.deepEqual(of('health', 'health').slice(0, 3), ['starting', 'passing', 'failing'])
      assert.deepEqual(of('exit', 'reason'), ['unhealthy'])
      assert.deepEqual(of('restart', 'attempt'), [2])
      await hive.call('DELETE', '/services/web')
      const { body } = await hive.call('GET', '/services/web/post-mortem')
      assert.ok(body.probes.length > 0)
      assert.deepEqual(new Set(Object.keys(body.probes[0])), new Set(['check', 'detail', 'ms', 'ok', 'time', 'type']))
      assert.ok(body.timeline.some(({ type }: HiveEvent) => type === 'restart'))
    })

    test('a stop by hand sticks: while it runs, while it waits for its restart, and over a restart of Hive', async (t) => {
      const first = await open(t, runner)
      await Promise.all(['one', 'two'].map((name) => first.spawn({ kind: 'patient', name })))
      await tell(first, 'two', '/exit')
      await until(async () => (await show(first, 'two')).next_attempt_at !== null, PATIENCE_MS, 'the back-off')
      for (const name of ['one', 'two']) {
        await first.call('POST', `/services/${name}/stop?wait=stopped`)
        const { desired, next_attempt_at, state } = await show(first, name)
        assert.deepEqual([desired, next_attempt_at, state === 'running'], ['stopped', null, false])
      }
      await first.close()
      const second = await open(t, runner, { directory: first.directory })
      await second.spawn({ kind: 'plain', name: 'three' })
      for (const name of ['one', 'two']) {
        const { desired, attempt, state } = await show(second, name)
        assert.deepEqual([desired, attempt, state === 'running'], ['stopped', 1, false])
      }
      await second.call('POST', '/services/one/start?wait=ready')
      assert.equal((await readyAgain(second, 'one', 2)).state, 'running')
    })

    test('events and webhooks tell the same whole story, from any place on', async (t) => {
      const receiver = await startReceiver(t)
      const env = { HIVE_WEBHOOK_URL: receiver.url, HIVE_WEBHOOK_SECRET: WEBHOOK_SECRET }
      const hive = await open(t, runner, { env })
      await hive.spawn({ kind: 'plain', name: 'web' })
      await hive.spawn({ kind: 'again', name: 'other' })
      await hive.call('POST', '/services/web/stop?wait=stopped')
      await hive.call('DELETE', '/services/web')
      const isWhole = (events: readonly HiveEvent[]) => statesOf(events).includes('removed')
      const events = await told(t, hive, '?after=0&name=web', isWhole)
      const story = ['requested', 'preparing', 'starting', 'running', 'stopping', 'stopped', 'removed']
      assert.deepEqual(statesOf(events), story)
      const exits = events.filter(({ type }) => type === 'exit').map(({ data }) => data['reason'])
      assert.deepEqual(exits, ['stopped'])
      const middle = events[3]?.seq ?? 0
      assert.deepEqual(await told(t, hive, `?after=${middle}&name=web`, isWhole), events.slice(4))
      const others = await told(t, hive, '?after=0&kind=again', (all) => statesOf(all).includes('running'))
      assert.ok(others.every(({ service }) => service?.kind === 'again'))
      const posted = () => receiver.taken.filter(({ service }) => service?.name === 'web')
      await until(() => isWhole(posted()), PATIENCE_MS, 'the last post')
      assert.deepEqual(posted(), events)
    })

    test('stats have a history, and /metrics counts what its runner did', async (t) => {
      const hive = await open(t, runner, { statsIntervalMs: 200 })
      await hive.spawn({ kind: 'again', name: 'web' })
      await tell(hive, 'web', '/exit')
      await readyAgain(hive, 'web', 2)
      assert.equal(await tell(hive, 'web', '/'), 200)
      const stats = await until(
        async () => {
          const { body } = await hive.call('GET', '/services/web/stats')
          return body.history.length >= 3 && body.current !== null ? body : null
        },
        PATIENCE_MS,
        'a history',
      )
      assert.ok(stats.current.memory_bytes > 0 && stats.current.processes >= 1 && stats.current.open_files > 0)
      const { text } = await hive.call('GET', '/metrics')
      const lines = text.split('\n')
      for (const line of [
        'hive_services{kind="again",state="running"} 1',
        `hive_runner_available{runner="${runner.name}"} 1`,
        'hive_spawns_total{kind="again"} 1',
        'hive_proxy_requests_total{kind="again",status="2xx"} 2',
        `hive_runner_call_seconds_count{runner="${runner.name}",call="start",outcome="ok"} 2`,
      ])
        assert.ok(lines.includes(line), `${line} is not in\n${text}`)
      assert.ok(lines.some((line) => /^hive_restarts_total\{kind="again",.*\} 1$/.test(line)))
      assert.ok(lines.some((line) => /^hive_spawn_phase_seconds_count\{kind="again",phase="ready"\} [1-9]/.test(line)))
    })

    test('a ttl removes it when it is over, and its post-mortem says so', async (t) => {
      const hive = await open(t, runner)
      const { expires_at, created_at } = await hive.spawn({ kind: 'brief', name: 'web' }, '?wait=none')
      assert.equal(Date.parse(expires_at ?? '') - Date.parse(created_at), 2_000)
      const gone = await hive.call('GET', '/services/web?wait=gone&timeout_s=30')
      assert.deepEqual([gone.status, gone.body.service.exit?.reason], [410, 'ttl'])
      assert.ok(Date.parse(gone.body.service.ended_at) >= Date.parse(expires_at ?? ''))
      const { status, body } = await hive.call('GET', '/services/web/post-mortem')
      assert.deepEqual([status, body.exit.reason, body.service.state], [200, 'ttl', 'removed'])
    })

    test('a touch keeps it, its activity says why, and 20 requests at once wake it by one start', async (t) => {
      const hive = await open(t, runner)
      await hive.spawn({ kind: 'sleeper', name: 'web' })
      const activity = async () => (await hive.call('GET', '/services/web/activity')).body
      // Its idle watch begins just after it is ready, and says so in place of what came before.
      await until(async () => (await activity()).last?.cause === 'start', PATIENCE_MS, 'the idle watch')
      const touched = await hive.call('POST', '/services/web/touch', { seconds: 600 })
      assert.ok(Date.parse(touched.body.idle_at) > Date.now() + 500_000)
      assert.deepEqual([(await activity()).last.cause, (await activity()).idle_at], ['touch', touched.body.idle_at])
      await tell(hive, 'web', '/')
      assert.equal((await activity()).last.cause, 'request')
      await hive.call('POST', '/services/web/touch', { seconds: 0 })
      const asleep = await show(hive, 'web', '?wait=stopped&timeout_s=30')
      assert.deepEqual([asleep.state, asleep.exit?.reason, asleep.idle_at], ['stopped', 'idle', null])
      const answers = await Promise.all(Array.from({ length: 20 }, () => tell(hive, 'web', '/')))
      assert.deepEqual([...new Set(answers)], [200])
      const { attempt, restarts } = await show(hive, 'web')
      assert.deepEqual([attempt, restarts], [2, 1])
    })

    test('work of its own keeps it, and its activity says so', async (t) => {
      const hive = await open(t, runner)
      await hive.spawn({ kind: 'sleeper', name: 'web' })
      await tell(hive, 'web', '/busy')
      const cause = async () => (await hive.call('GET', '/services/web/activity')).body.last?.cause
      await until(async () => (await cause()) === 'cpu', PATIENCE_MS, 'noticing its work')
      const { idle_at, state } = await show(hive, 'web')
      assert.equal(state, 'running')
      const later = async () => Date.parse((await show(hive, 'web')).idle_at) - Date.parse(idle_at) > 2_000
      await until(later, PATIENCE_MS, 'a deadline that moves on')
      assert.equal((await show(hive, 'web')).attempt, 1)
    })
  })
