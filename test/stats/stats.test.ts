import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import type { Usage } from '../../src/runners/usage/usage.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'

const KINDS = [
  { id: 'native', runner_type: 'script', runner_config: { command: 'worker', restart: 'never' } },
  {
    id: 'again',
    runner_type: 'script',
    runner_config: { command: 'worker', restart: { policy: 'always', backoff_min: '10ms' } },
  },
]

const USAGE: Usage = {
  cpuMs: 1_500,
  memoryBytes: 4_096,
  memoryLimitBytes: null,
  processes: 2,
  threads: 5,
  openFiles: 9,
  network: { rxBytes: 10, txBytes: 20 },
  unknown: {},
}

let count = 0

/** A counter that never stands still. */
function grown(): number {
  count += 1
  return count
}

const ENDED = { code: 7, signal: null, oom: false }

/** A Hive that measures every 30 ms. */
async function measuring(t: TestContext, usage = (): Usage | null => USAGE) {
  const runner = new FakeRunner({ usage: usage as () => Usage })
  t.after(() => runner.close())
  const open = (directory?: string) =>
    openHive(t, {
      kinds: KINDS,
      drivers: [runner.driver()],
      statsIntervalMs: 30,
      env: { HIVE_PORT_RANGE: ownPortRange() },
      ...(directory !== undefined && { directory }),
    })
  return { runner, open, hive: await open() }
}

async function statsOf(hive: TestHive, name: string) {
  const { status, body, text } = await hive.call('GET', `/services/${name}/stats`)
  assert.equal(status, 200, text)
  return body
}

function history(hive: TestHive, name: string, length: number) {
  return until(
    async () => {
      const body = await statsOf(hive, name)
      return body.history.length >= length ? body : null
    },
    10_000,
    `${length} samples`,
  )
}

it('stats: now and history, with the share of a processor from one sample to the next', async (t) => {
  const { hive } = await measuring(t, () => ({ ...USAGE, cpuMs: grown() * 15 }))
  const { name } = await hive.spawn({ kind: 'native' })
  const { current, history: samples, interval_ms } = await history(hive, name, 3)
  assert.equal(interval_ms, 30)
  assert.equal(samples[0].cpu_percent, null)
  assert.ok(samples[1].cpu_seconds > samples[0].cpu_seconds)
  assert.ok(samples[1].cpu_percent > 0)
  assert.deepEqual(Object.keys(current), Object.keys(samples[0]))
  const { at, attempt, cpu_seconds, cpu_percent, ...rest } = current
  assert.deepEqual(rest, {
    memory_bytes: 4_096,
    memory_limit_bytes: null,
    processes: 2,
    threads: 5,
    open_files: 9,
    network_rx_bytes: 10,
    network_tx_bytes: 20,
    unknown: {},
  })
})

it('stats: a history is bounded to 60 samples', async (t) => {
  const { hive } = await measuring(t)
  const { name, id } = await hive.spawn({ kind: 'native' })
  const last = () => hive.app.stats.history(id)
  await history(hive, name, 60)
  const oldest = last()[0]
  await until(() => last()[0] !== oldest, 10_000, 'the oldest to go')
  assert.equal(last().length, 60)
})

it('stats: 404 for nobody, 410 once removed, and an ended cocoon keeps its history', async (t) => {
  const { hive, runner } = await measuring(t)
  assert.equal((await hive.call('GET', '/services/nobody/stats')).status, 404)
  const { name, id } = await hive.spawn({ kind: 'native' })
  await history(hive, name, 2)
  await runner.exit(id, ENDED)
  await hive.call('GET', `/services/${name}?wait=stopped`)
  const ended = await statsOf(hive, name)
  assert.equal(ended.current, null)
  assert.ok(ended.history.length >= 2)
  await hive.call('DELETE', `/services/${name}`)
  const { status, body } = await hive.call('GET', `/services/${name}/stats`)
  assert.deepEqual([status, body.code, body.service.name], [410, 'HIVE_COCOON_GONE', name])
  assert.equal(hive.app.stats.history(id).length, 0)
})

it('stats: the last sample is in the post-mortem after removal and after a restart of Hive', async (t) => {
  const { hive, runner, open } = await measuring(t)
  const { name, id } = await hive.spawn({ kind: 'native' })
  await history(hive, name, 1)
  await runner.exit(id, ENDED)
  await hive.call('GET', `/services/${name}?wait=stopped`)
  await hive.call('DELETE', `/services/${name}`)
  await hive.close()
  const later = await open(hive.directory)
  const { status, body } = await later.call('GET', `/services/${name}/post-mortem`)
  assert.equal(status, 200)
  assert.deepEqual([body.service.state, body.stats.memory_bytes, body.stats.attempt], ['removed', 4_096, 1])
})

it('stats: a cocoon that dies between two samples adds none, and another attempt begins anew', async (t) => {
  let cpuMs = 10_000
  const { hive, runner } = await measuring(t, () => ({ ...USAGE, cpuMs: cpuMs + grown() }))
  const { name, id } = await hive.spawn({ kind: 'again' })
  await history(hive, name, 2)
  cpuMs = 0
  await runner.exit(id, ENDED)
  await until(async () => (await statsOf(hive, name)).current?.attempt === 2, 10_000, 'a sample of attempt 2')
  const { history: samples } = await statsOf(hive, name)
  const first = samples.find(({ attempt }: { attempt: number }) => attempt === 2)
  assert.equal(first.cpu_percent, null)
  assert.ok(samples.some(({ attempt }: { attempt: number }) => attempt === 1))
})

it('stats: an engine that hangs while it measures delays neither the API nor launches nor the shutdown', async (t) => {
  const { hive, runner } = await measuring(t)
  const { name } = await hive.spawn({ kind: 'native', name: 'before' })
  await history(hive, name, 1)
  const release = runner.hold('stats')
  t.after(release)
  // More cocoons than may be measured at once, all of them started while nothing is answered.
  const names = Array.from({ length: 12 }, (_, index) => `cocoon-${index}`)
  await Promise.all(names.map((each) => hive.spawn({ kind: 'native', name: each })))
  const answers = await Promise.all(names.map((each) => hive.call('GET', `/services/${each}/stats`)))
  assert.ok(answers.every(({ status, body }) => status === 200 && body.current === null && body.history.length === 0))
  await hive.call('DELETE', '/services/cocoon-0')
  assert.equal((await hive.call('GET', '/services/cocoon-0')).status, 410)
})

it('stats: at most eight cocoons of a runner are measured at once, the others are left out and not queued', async (t) => {
  const { hive, runner } = await measuring(t)
  const release = runner.hold('stats')
  t.after(release)
  const calls = () => runner.calls.filter((call) => call.startsWith('stats')).length
  await Promise.all(Array.from({ length: 12 }, () => hive.spawn({ kind: 'native' })))
  await until(() => calls() >= 8, 5_000, 'eight questions')
  // Two rounds later there are still no more.
  await until(() => hive.app.stats.rounds >= 2, 5_000, 'two rounds')
  assert.equal(calls(), 8)
})
