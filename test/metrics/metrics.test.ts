import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { freePort } from '../support/free-port.ts'
import { openHive, type TestHive } from '../support/hive.ts'

const KINDS = [{ id: 'native', runner_type: 'script', runner_config: { command: 'worker' } }]
const PROMTOOL = '/usr/bin/promtool'
const PROMETHEUS = '/usr/bin/prometheus'

/** A reason to skip, which required engines turn into a failure. */
function without(program: string): string | false {
  if (existsSync(program)) return false
  return process.env['HIVE_TEST_ENGINES'] === 'required' ? false : `${program} is not installed (Debian: prometheus)`
}

async function busyHive(t: TestContext): Promise<TestHive> {
  const runner = new FakeRunner()
  t.after(() => runner.close())
  const hive = await openHive(t, { kinds: KINDS, drivers: [runner.driver()] })
  const alive = await hive.spawn({ kind: 'native' })
  const ended = await hive.spawn({ kind: 'native' })
  await runner.exit(ended.id, { code: 0, signal: null, oom: false })
  await hive.call('GET', `/services/${ended.name}?wait=stopped`)
  assert.equal((await hive.call('GET', `/services/${alive.name}`)).body.state, 'running')
  return hive
}

it('/metrics needs the token, and counts services, spawns, ends, phases and runner calls', async (t) => {
  const hive = await busyHive(t)
  assert.equal((await fetch(`${hive.url}/metrics`)).status, 401)
  const { status, text, headers } = await hive.call('GET', '/metrics')
  assert.equal(status, 200)
  assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const expected = [
    'hive_services{kind="native",state="running"} 1',
    'hive_services{kind="native",state="stopped"} 1',
    'hive_services_active 1',
    'hive_runner_available{runner="script"} 1',
    'hive_spawns_total{kind="native"} 2',
    'hive_attempts_total{kind="native",by="api"} 2',
    'hive_ends_total{kind="native",state="stopped",reason="exited"} 1',
    'hive_spawn_phase_seconds_count{kind="native",phase="start"} 2',
    'hive_runner_call_seconds_count{runner="script",call="start",outcome="ok"} 2',
  ]
  for (const line of expected) assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`)
})

it('no name, id or path of a cocoon is ever a label', async (t) => {
  const hive = await busyHive(t)
  const { text } = await hive.call('GET', '/metrics')
  const { body } = await hive.call('GET', '/services')
  for (const { name, id } of body.services) assert.ok(!text.includes(name) && !text.includes(id))
})

it('promtool finds nothing wrong with /metrics', { skip: without(PROMTOOL) }, async (t) => {
  const hive = await busyHive(t)
  const { text } = await hive.call('GET', '/metrics')
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(PROMTOOL, ['check', 'metrics'], (error, stdout, stderr) =>
      error ? reject(new Error(stdout + stderr)) : resolve(stdout + stderr),
    )
    child.stdin?.end(text)
  })
  assert.equal(output, '')
})

it('a real Prometheus scrapes Hive with the bearer token', {
  skip: without(PROMETHEUS),
  timeout: 60_000,
}, async (t) => {
  const hive = await busyHive(t)
  const directory = await mkdtemp(join(tmpdir(), 'hive-prometheus-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  assert.equal((await fetch(`${hive.url}/cocoons/nobody/`)).status, 404)
  const config = {
    global: { scrape_interval: '1s' },
    scrape_configs: [
      {
        job_name: 'hive',
        authorization: { credentials: hive.token },
        static_configs: [{ targets: [`127.0.0.1:${hive.port}`] }],
      },
    ],
  }
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config)) // YAML is a superset of JSON
  const port = await freePort()
  const child = spawn(
    PROMETHEUS,
    [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  )
  t.after(() => child.kill('SIGKILL'))
  const ask = async (query: string) => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`
    const answer = await fetch(url).catch(() => null)
    const found = answer?.ok ? ((await answer.json()) as { data: { result: { value: [number, string] }[] } }) : null
    return found?.data.result[0]?.value[1]
  }
  await until(async () => (await ask('hive_services_active')) === '1', 30_000, 'a scrape')
  // The proxy's own counters arrive as types Prometheus can work with.
  assert.equal(await ask('hive_proxy_requests_total{kind="none",status="4xx"}'), '1')
  assert.match(
    (await ask('histogram_quantile(0.5, hive_proxy_request_seconds_bucket{kind="none"})')) ?? '',
    /^[\d.e-]+$/,
  )
})
