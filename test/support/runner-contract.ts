import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import type { Launched, LaunchSpec, RunnerDriver, RunnerHandle } from '../../src/runners/driver.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { notDrawn } from './crash/seed.ts'
import { until, within } from './deadline.ts'
import { execTests } from './exec-contract.ts'
import { statsTests } from './stats-contract.ts'

/**
 * The worker programs that a harness must offer:
 * - `httpd` serves HTTP (GET / answers 200) on the first port of its spec until TERM
 * - `ignore-term` the same, but TERM does nothing; ignores it before it listens
 * - `exit-0`, `exit-7` end at once with that code · `sleep` never listens, ends by TERM's default action
 * - `missing` a command or image that does not exist
 */
export type ContractWorker = 'httpd' | 'ignore-term' | 'exit-0' | 'exit-7' | 'sleep' | 'missing'

export interface RunnerFeatures {
  /** Path at the httpd worker that answers its environment as `NAME=value` lines; null = it cannot tell. */
  readonly envPath: string | null
  /** False if two starts that meet may both be told that they launched what runs. */
  readonly tellsWhoLaunched: boolean
  /** Milliseconds a start may take here. */
  readonly patienceMs: number
}

export interface RunnerHarness {
  readonly features: RunnerFeatures
  /** A fresh driver on the same runner and the same state; without an argument always of the same instance. */
  driver(instanceId?: string): RunnerDriver
  /** A launchable spec with a new id, attempt 1, one free port, and `PORT` in its env unless overridden. */
  spec(worker: ContractWorker, overrides?: Partial<LaunchSpec>): LaunchSpec | Promise<LaunchSpec>
  /** All that other people on the machine can see of a running cocoon: argv, labels, files; not its environment. */
  visible?(handle: RunnerHandle): Promise<string>
  /** Ends and removes everything the harness made. */
  cleanup(): Promise<void>
}

/** What one test works with. */
export interface Bench {
  readonly harness: RunnerHarness
  readonly driver: RunnerDriver
  readonly signal: AbortSignal
  readonly ms: number
  launch(worker: ContractWorker, overrides?: Partial<LaunchSpec>): Promise<Launched & { readonly spec: LaunchSpec }>
}

/**
 * Registers the tests that hold for every driver.
 * @param skip  a reason why the runner cannot be tested here; false = run.
 * @param sample  how many of them are drawn for a default run, where another suite runs them all on the same code.
 */
export function runnerContract(
  name: string,
  makeHarness: () => RunnerHarness | Promise<RunnerHarness>,
  options: { readonly skip?: string | false; readonly sample?: number } = {},
): void {
  const tests: { readonly title: string; readonly body: (bench: Bench) => Promise<void> }[] = []
  const contract: Contract = (title, body) => void tests.push({ title, body })
  for (const part of [lifeTests, endTests, adoptionTests, launchTests, abortTests, execTests, statsTests])
    part(contract)
  const skip = notDrawn(options.sample ?? tests.length, tests.length)
  describe(`${name} keeps the driver contract`, { skip: options.skip ?? false }, () => {
    for (const [index, { title, body }] of tests.entries())
      it(title, { skip: skip(index) }, async (t) => body(await openBench(t, await makeHarness())))
  })
}

type Contract = (title: string, body: (bench: Bench) => Promise<void>) => void

function lifeTests(contract: Contract): void {
  contract('probe says that the runner is available', async ({ driver, signal }) => {
    assert.deepEqual(await driver.probe(signal), { available: true, reason: null })
  })

  contract('a cocoon is started, seen, reached, stopped and removed', async (bench) => {
    const { driver, signal } = bench
    const { spec, handle, endpoint, pid, containerId, adopted } = await bench.launch('httpd')
    assert.equal(adopted, false)
    assert.ok(pid !== null || containerId !== null, 'a launch names a pid or a container')
    assert.ok(endpoint)
    await listening(bench, handle, spec)
    assert.equal((await get(endpoint, '/')).status, 200)
    const status = await driver.inspect(handle, signal)
    assert.equal(status.state, 'running')
    assert.deepEqual(status.state === 'running' ? status.endpoint : null, endpoint)
    await driver.stop(handle, 2_000, signal)
    assert.equal((await driver.inspect(handle, signal)).state, 'exited')
    assert.equal(await driver.listens(handle, portOf(spec), signal), false)
    await driver.remove(handle, { volumes: true }, signal)
    assert.deepEqual(await driver.inspect(handle, signal), { state: 'missing' })
    assert.deepEqual(await owned(driver, spec.id, signal), [])
  })

  contract('a cocoon that never listens is running and listens() stays false', async (bench) => {
    const { spec, handle } = await bench.launch('sleep')
    assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
    assert.equal(await bench.driver.listens(handle, portOf(spec), bench.signal), false)
  })

  contract('list names the objects of its own instance and of no other', async (bench) => {
    const { driver, signal, harness } = bench
    const mine = await bench.launch('sleep')
    const other = harness.driver(randomBytes(8).toString('hex'))
    const foreign = await harness.spec('sleep')
    await other.prepare(foreign, () => {}, signal)
    const theirs = await other.start(foreign, signal)
    const [object, ...more] = await owned(driver, mine.spec.id, signal)
    assert.deepEqual(more, [])
    assert.deepEqual(
      { ...object, createdAt: null, handle: null, port: null, kind: mine.spec.kind },
      {
        id: mine.spec.id,
        name: mine.spec.name,
        attempt: 1,
        running: true,
        createdAt: null,
        handle: null,
        port: null,
        kind: mine.spec.kind,
      },
    )
    const ids = (await other.list(signal)).map(({ id }) => id)
    assert.equal(ids.includes(mine.spec.id), false)
    assert.equal(ids.length, 1)
    await other.remove(theirs.handle, { volumes: true }, signal)
    await other.close()
    assert.equal((await driver.inspect(mine.handle, signal)).state, 'running')
  })

  contract('list says of an ended cocoon that it does not run', async (bench) => {
    const { spec, handle } = await bench.launch('exit-0')
    await ended(bench, bench.driver, handle)
    assert.equal((await owned(bench.driver, spec.id, bench.signal))[0]?.running, false)
  })
}

function endTests(contract: Contract): void {
  for (const code of [0, 7]) {
    contract(`wait gives exit code ${code}`, async (bench) => {
      const { handle } = await bench.launch(code === 0 ? 'exit-0' : 'exit-7')
      assert.deepEqual(await ended(bench, bench.driver, handle), { code, signal: null, oom: false })
      const status = await bench.driver.inspect(handle, bench.signal)
      assert.deepEqual(status.state === 'exited' ? status.exit : status, { code, signal: null, oom: false })
    })
  }

  contract('wait names the signal and gives 128 + n after a stop', async (bench) => {
    const { handle } = await bench.launch('sleep')
    const waiting = bench.driver.wait(handle, bench.signal)
    await bench.driver.stop(handle, 5_000, bench.signal)
    assert.deepEqual(await within(waiting, bench.ms, 'wait'), { code: 143, signal: 'SIGTERM', oom: false })
  })

  contract('F27: a worker that ignores TERM is killed after the grace', async (bench) => {
    const { spec, handle } = await bench.launch('ignore-term')
    await listening(bench, handle, spec)
    await within(bench.driver.stop(handle, 200, bench.signal), bench.ms, 'stop')
    assert.deepEqual(await ended(bench, bench.driver, handle), { code: 137, signal: 'SIGKILL', oom: false })
    assert.equal(await bench.driver.listens(handle, portOf(spec), bench.signal), false)
  })

  contract('stop and remove succeed when already gone, and wait gives null', async (bench) => {
    const { driver, signal } = bench
    const { handle } = await bench.launch('exit-0')
    await ended(bench, driver, handle)
    await driver.stop(handle, 1_000, signal)
    await driver.stop(handle, 1_000, signal)
    await driver.remove(handle, { volumes: true }, signal)
    await driver.remove(handle, { volumes: true }, signal)
    await driver.stop(handle, 1_000, signal)
    assert.equal(await within(driver.wait(handle, signal), bench.ms, 'wait'), null)
    assert.deepEqual(await driver.inspect(handle, signal), { state: 'missing' })
  })

  contract('remove ends a cocoon that still runs', async (bench) => {
    const { spec, handle } = await bench.launch('ignore-term')
    await listening(bench, handle, spec)
    await within(bench.driver.remove(handle, { volumes: true }, bench.signal), bench.ms, 'remove')
    assert.deepEqual(await bench.driver.inspect(handle, bench.signal), { state: 'missing' })
    assert.equal(await bench.driver.listens(handle, portOf(spec), bench.signal), false)
  })

  contract('another attempt runs after the first has ended', async (bench) => {
    const first = await bench.launch('exit-7')
    await ended(bench, bench.driver, first.handle)
    const again = { ...first.spec, attempt: 2, handle: first.handle }
    await bench.driver.prepare(again, () => {}, bench.signal)
    const second = await bench.driver.start(again, bench.signal)
    assert.equal(second.adopted, false)
    assert.deepEqual(await ended(bench, bench.driver, second.handle), { code: 7, signal: null, oom: false })
  })
}

function adoptionTests(contract: Contract): void {
  contract('start twice adopts what runs', async (bench) => {
    const first = await bench.launch('sleep')
    const second = await bench.harness.driver().start(first.spec, bench.signal)
    assert.equal(second.adopted, true)
    assert.deepEqual(
      [second.pid, second.containerId, second.handle],
      [first.pid, first.containerId, roundTrip(first.handle)],
    )
  })

  contract('F2: two starts at once launch one cocoon', async (bench) => {
    const spec = await bench.harness.spec('sleep')
    await bench.driver.prepare(spec, () => {}, bench.signal)
    const both = await Promise.all([
      bench.driver.start(spec, bench.signal),
      bench.harness.driver().start(spec, bench.signal),
    ])
    const launches = both.filter(({ adopted }) => !adopted).length
    if (bench.harness.features.tellsWhoLaunched) assert.equal(launches, 1)
    else assert.notEqual(launches, 0)
    assert.deepEqual([both[0].pid, both[0].containerId], [both[1].pid, both[1].containerId])
    assert.equal((await owned(bench.driver, spec.id, bench.signal)).length, 1)
  })

  contract('start of an attempt that has ended adopts its end', async (bench) => {
    const first = await bench.launch('exit-7')
    await ended(bench, bench.driver, first.handle)
    const second = await bench.harness.driver().start(first.spec, bench.signal)
    assert.equal(second.adopted, true)
    assert.deepEqual(await ended(bench, bench.driver, second.handle), { code: 7, signal: null, oom: false })
  })

  contract('F20: a fresh driver with nothing but the handle can do everything', async (bench) => {
    const { spec, handle } = await bench.launch('httpd')
    await listening(bench, handle, spec)
    const fresh = bench.harness.driver()
    const copy = roundTrip(handle)
    assert.equal((await fresh.inspect(copy, bench.signal)).state, 'running')
    assert.equal(await fresh.listens(copy, portOf(spec), bench.signal), true)
    const waiting = fresh.wait(copy, bench.signal)
    await bench.harness.driver().stop(copy, 5_000, bench.signal)
    const exit = await within(waiting, bench.ms, 'wait')
    assert.ok(exit)
    assert.deepEqual(await ended(bench, bench.harness.driver(), copy), exit)
    await bench.harness.driver().remove(copy, { volumes: true }, bench.signal)
    assert.deepEqual(await fresh.inspect(copy, bench.signal), { state: 'missing' })
  })

  contract('F21: a fresh driver learns the exit code of a cocoon that ended unwatched', async (bench) => {
    const { handle } = await bench.launch('exit-7')
    await bench.driver.close()
    const fresh = bench.harness.driver()
    assert.deepEqual(await ended(bench, fresh, roundTrip(handle)), { code: 7, signal: null, oom: false })
  })
}

function launchTests(contract: Contract): void {
  contract('F29: a missing command or image is refused and leaves nothing', async (bench) => {
    const { driver, signal, harness } = bench
    const secret = plantSecret()
    const spec = await harness.spec('missing', { env: { PLANTED: secret } })
    const refusal = async (launch: () => Promise<unknown>): Promise<void> => {
      const error: unknown = await launch().then(
        () => null,
        (thrown: unknown) => thrown,
      )
      assert.ok(error instanceof LaunchRefused, `expected a refusal, got ${inspect(error)}`)
      assert.equal(error.reason, 'refused')
      assert.ok(error.message.length > 10, 'a refusal says why')
      assert.equal(inspect(error, { depth: 12, showHidden: true }).includes(secret), false)
    }
    await refusal(() => within(driver.start(spec, signal), bench.ms, 'start'))
    await refusal(async () => {
      await within(
        driver.prepare(spec, () => {}, signal),
        bench.ms,
        'prepare',
      )
      await within(driver.start(spec, signal), bench.ms, 'start')
    })
    assert.deepEqual(await owned(driver, spec.id, signal), [])
  })

  contract('the environment arrives', async (bench) => {
    const { envPath } = bench.harness.features
    if (envPath === null) return
    const base = await bench.harness.spec('httpd')
    const env = { ...base.env, PLAIN: 'two words = "one" $HOME \\ `x`', COCOON_NAME: base.name }
    const { spec, handle, endpoint } = await bench.launch('httpd', { ...base, env })
    assert.ok(endpoint)
    await listening(bench, handle, spec)
    const seen = (await get(endpoint, envPath)).body.split('\n')
    for (const [name, value] of Object.entries(env)) assert.ok(seen.includes(`${name}=${value}`), name)
  })

  contract('a secret in the environment is in no handle, list entry or visible place', async (bench) => {
    const secret = plantSecret()
    const base = await bench.harness.spec('sleep')
    const { spec, handle, ...rest } = await bench.launch('sleep', { ...base, env: { ...base.env, PLANTED: secret } })
    const status = await bench.driver.inspect(handle, bench.signal)
    const list = await owned(bench.driver, spec.id, bench.signal)
    assert.equal(JSON.stringify([handle, rest.pid, status, list]).includes(secret), false)
    assert.equal(((await bench.harness.visible?.(handle)) ?? '').includes(secret), false)
  })
}

function abortTests(contract: Contract): void {
  contract('an aborted wait settles', async (bench) => {
    const { handle } = await bench.launch('sleep')
    await settlesOnAbort((signal) => bench.driver.wait(handle, signal))
    assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
  })

  contract('an aborted stop settles', async (bench) => {
    const { spec, handle } = await bench.launch('ignore-term')
    await listening(bench, handle, spec)
    await settlesOnAbort((signal) => bench.driver.stop(handle, 60_000, signal))
  })

  contract('a call whose signal is aborted already settles and launches nothing', async (bench) => {
    const spec = await bench.harness.spec('sleep')
    await bench.driver.prepare(spec, () => {}, bench.signal)
    await assert.rejects(within(bench.driver.start(spec, AbortSignal.abort()), 1_000, 'start'))
    assert.deepEqual(await owned(bench.driver, spec.id, bench.signal), [])
  })
}

async function openBench(t: TestContext, harness: RunnerHarness): Promise<Bench> {
  t.after(() => harness.cleanup())
  const driver = harness.driver()
  const ms = harness.features.patienceMs
  const signal = AbortSignal.timeout(6 * ms)
  const launch: Bench['launch'] = async (worker, overrides) => {
    const spec = await harness.spec(worker, overrides)
    await within(
      driver.prepare(spec, () => {}, signal),
      ms,
      'prepare',
    )
    const launched = await within(driver.start(spec, signal), ms, 'start')
    return { ...launched, handle: roundTrip(launched.handle), spec }
  }
  return { harness, driver, signal, ms, launch }
}

async function settlesOnAbort(call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const abort = new AbortController()
  const running = call(abort.signal)
  running.catch(() => {})
  await new Promise((resolve) => setImmediate(resolve))
  abort.abort()
  await assert.rejects(
    within(running, 1_000, 'the aborted call'),
    (error: Error) => !/did not settle/.test(error.message),
  )
}

function listening(bench: Bench, handle: RunnerHandle, spec: LaunchSpec): Promise<unknown> {
  return until(() => bench.driver.listens(handle, portOf(spec), bench.signal), bench.ms, 'listens')
}

function ended(bench: Bench, driver: RunnerDriver, handle: RunnerHandle) {
  return within(driver.wait(handle, bench.signal), bench.ms, 'wait')
}

async function owned(driver: RunnerDriver, id: string, signal: AbortSignal) {
  return (await driver.list(signal)).filter((object) => object.id === id)
}

async function get(endpoint: { host: string; port: number }, path: string) {
  const answer = await fetch(`http://${endpoint.host}:${endpoint.port}${path}`, { signal: AbortSignal.timeout(5_000) })
  return { status: answer.status, body: await answer.text() }
}

function portOf(spec: LaunchSpec) {
  const [binding] = spec.ports
  assert.ok(binding, 'the spec has a port')
  return binding
}

/** What is left of a handle after it was stored. */
function roundTrip(handle: RunnerHandle): RunnerHandle {
  return JSON.parse(JSON.stringify(handle)) as RunnerHandle
}

function plantSecret(): string {
  return `planted-${randomBytes(12).toString('hex')}`
}
