import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { JsonLines } from '../../src/runners/container/json-lines.ts'
import { PullProgress, pullError } from '../../src/runners/container/pull-progress.ts'
import { SingleFlight } from '../../src/runners/container/single-flight.ts'
import { LaunchRefused, type PrepareProgress, RunnerUnreachable } from '../../src/runners/driver.ts'
import { openContainerBench } from '../support/container-bench.ts'
import { until, within } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { engineOrSkip, registryOrSkip, TEST_IMAGES } from '../support/engines.ts'
import { openFakeRegistry } from '../support/fake-registry.ts'

describe('the progress of a pull', () => {
  const stream = [
    { status: 'Pulling from hive-test/big', id: '1' },
    { status: 'Pulling fs layer', progressDetail: {}, id: 'a' },
    { status: 'Already exists', progressDetail: {}, id: 'b' },
    { status: 'Downloading', progressDetail: { current: 10, total: 100 }, id: 'a' },
    { status: 'Downloading', progressDetail: { current: 60, total: 100 }, id: 'a' },
    { status: 'Download complete', progressDetail: {}, id: 'a' },
    { status: 'Extracting', progressDetail: { current: 5, total: 100 }, id: 'a' },
    { status: 'Pull complete', progressDetail: {}, id: 'a' },
    { status: 'Digest: sha256:00' },
  ]

  it('is read right however its bytes are cut', () => {
    const bytes = Buffer.from(`${stream.map((event) => JSON.stringify(event)).join('\r\n')}\nnot json\n{"status":"é`)
    for (const size of [1, 7, 4_096]) {
      const lines = new JsonLines()
      const events: unknown[] = []
      for (let at = 0; at < bytes.length; at += size) events.push(...lines.push(bytes.subarray(at, at + size)))
      events.push(...lines.end())
      assert.deepEqual(events, stream)
    }
  })

  it('adds up bytes and layers', () => {
    const progress = new PullProgress('x')
    const seen = stream.map((event) => progress.add(event)).filter((snapshot) => snapshot !== null)
    const numbers = seen.map(({ currentBytes, totalBytes, layersDone, layersTotal }) => [
      ...[currentBytes, totalBytes, layersDone, layersTotal],
    ])
    assert.deepEqual(numbers, [
      [null, null, 0, 1],
      [null, null, 1, 2],
      [10, 100, 1, 2],
      [60, 100, 1, 2],
      [100, 100, 2, 2],
      [100, 100, 2, 2],
    ])
    assert.equal(progress.isUnpacking, true)
  })

  it('an error inside a good answer is seen', () => {
    assert.equal(pullError({ errorDetail: { message: 'no' }, error: 'no' }), 'no')
    assert.equal(pullError({ error: 'no' }), 'no')
    assert.equal(pullError({ status: 'error' }), null)
  })

  it('a line without an end is refused', () => {
    const lines = new JsonLines()
    assert.throws(() => {
      for (let i = 0; i < 64; i++) lines.push(Buffer.alloc(1 << 16, 0x20))
    }, /without an end/)
  })
})

describe('a shared job', () => {
  it('runs once, and ends early only when the last one leaves', async () => {
    const flights = new SingleFlight<number>()
    let runs = 0
    let stopped = false
    const job = (report: (progress: number) => void, signal: AbortSignal): Promise<void> => {
      runs += 1
      report(1)
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          stopped = true
          reject(signal.reason)
        })
      })
    }
    const [one, two] = [new AbortController(), new AbortController()]
    const seen: number[] = []
    const first = flights.join('k', job, () => {}, one.signal)
    await new Promise((resolve) => setImmediate(resolve))
    const second = flights.join('k', job, (progress) => seen.push(progress), two.signal)
    assert.deepEqual(seen, [1], 'a late comer learns how far it is')
    one.abort(new Error('first leaves'))
    await assert.rejects(first, /first leaves/)
    assert.deepEqual([runs, stopped], [1, false])
    two.abort(new Error('second leaves'))
    await assert.rejects(second, /second leaves/)
    assert.deepEqual([runs, stopped], [1, true])
  })

  it('that failed is run anew for the next one', async () => {
    const flights = new SingleFlight<number>()
    let runs = 0
    const job = async (): Promise<void> => {
      runs += 1
      throw new Error(`run ${runs}`)
    }
    const { signal } = new AbortController()
    await assert.rejects(
      flights.join('k', job, () => {}, signal),
      /run 1/,
    )
    await assert.rejects(
      flights.join('k', job, () => {}, signal),
      /run 2/,
    )
  })
})

const registry = registryOrSkip()

for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
  const engine = engineOrSkip(name)

  describe(`${name} pulls`, { skip: engine.skip || registry.skip }, () => {
    it('with progress, once for all who want the image', async (t) => {
      const { driver, signal, spec } = openContainerBench(t, engine)
      const image = `${registry.plain}/hive-test/big:1`
      t.after(() => engineRequest(engine.host, 'DELETE', `/images/${image}?force=true`))
      await engineRequest(engine.host, 'DELETE', `/images/${image}?force=true`)
      const seen: PrepareProgress[] = []
      const both = await Promise.all([
        driver.prepare(spec({ image }), (progress) => seen.push(progress), signal),
        driver.prepare(spec({ image }), () => {}, signal),
      ])
      for (const { exposed, pullMs } of both) assert.deepEqual([exposed, pullMs === null], [[8080], false])
      const layers = seen.flatMap(({ layersTotal }) => layersTotal ?? [])
      assert.ok(Math.max(...layers) >= 4, 'all layers are counted')
      assert.equal(seen.at(-1)?.layersDone, seen.at(-1)?.layersTotal)
      // Podman reports bytes only once a second, and loopback is faster.
      if (engine.type === 'docker') assert.ok(seen.some(({ currentBytes }) => (currentBytes ?? 0) > 1_000_000))
      const again = await driver.prepare(spec({ image }), () => assert.fail('it is there'), signal)
      assert.deepEqual(again, { exposed: [8080], pullMs: null })
    })

    it('with the credentials of the auth file, and says which file when they are refused', async (t) => {
      const image = `${registry.auth}/hive-test/httpd:1`
      t.after(() => engineRequest(engine.host, 'DELETE', `/images/${image}?force=true`))
      const right = await authFile(t, registry.password)
      const wrong = await authFile(t, 'planted-wrong')
      const none = openContainerBench(t, engine, { registryAuthFile: await emptyFile(t) })
      const refusal = (file: string) => (error: Error) => {
        assert.ok(error instanceof LaunchRefused, String(error))
        assert.ok(error.message.includes(file), error.message)
        assert.doesNotMatch(error.message, /planted-wrong/)
        return true
      }
      const refused = openContainerBench(t, engine, { registryAuthFile: wrong })
      const order = refused.spec({ image, pull: 'always' })
      await assert.rejects(
        refused.driver.prepare(order, () => {}, refused.signal),
        refusal(wrong),
      )
      await assert.rejects(
        none.driver.prepare(order, () => {}, none.signal),
        refusal('no credentials for it in'),
      )
      const allowed = openContainerBench(t, engine, { registryAuthFile: right })
      const { pullMs } = await allowed.driver.prepare(order, () => {}, allowed.signal)
      assert.notEqual(pullMs, null)
    })

    it('F37: an image that does not exist is refused, a registry that is away is not', async (t) => {
      const { driver, signal, spec } = openContainerBench(t, engine)
      const pull = (image: string) => driver.prepare(spec({ image }), () => {}, signal)
      await assert.rejects(pull(`${registry.plain}/hive-test/none:1`), LaunchRefused)
      await assert.rejects(pull('127.0.0.1:1/x/y:1'), RunnerUnreachable)
    })

    it('F37: a registry that says too many requests is not a refusal', async (t) => {
      const fake = await openFakeRegistry(t, (response) => {
        const errors = [{ code: 'TOOMANYREQUESTS', message: 'slow down' }]
        response.writeHead(429, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }))
      })
      const { driver, signal, spec } = openContainerBench(t, engine, { timeouts: { pullStallMs: 1_000 } })
      const pull = driver.prepare(spec({ image: `${fake.address}/x/y:1` }), () => {}, signal)
      await assert.rejects(within(pull, 20_000, 'the pull'), RunnerUnreachable)
    })

    it('F37: a registry that sends headers and then nothing is given up, and others are not blocked', async (t) => {
      const fake = await openFakeRegistry(t, (response) => {
        response.writeHead(200, {
          'content-type': 'application/vnd.docker.distribution.manifest.v2+json',
          'content-length': '1000',
        })
        response.flushHeaders()
      })
      const { driver, signal, spec } = openContainerBench(t, engine, { timeouts: { pullStallMs: 1_500 } })
      const pull = driver.prepare(spec({ image: `${fake.address}/x/y:1` }), () => {}, signal)
      pull.catch(() => {})
      await within(fake.asked, 10_000, 'the registry is asked')
      const other = spec({ image: TEST_IMAGES.sleep })
      await driver.prepare(other, () => {}, signal)
      await driver.start(other, signal)
      await assert.rejects(within(pull, 20_000, 'the pull'), /stalled: nothing moved for 1\.5 s/)
    })

    it('F37: an aborted pull settles at once, and the engine lets go of the registry', async (t) => {
      const fake = await openFakeRegistry(t, (response) => void response.writeHead(200).flushHeaders())
      const { driver, spec } = openContainerBench(t, engine)
      const abort = new AbortController()
      const pull = driver.prepare(spec({ image: `${fake.address}/x/y:1` }), () => {}, abort.signal)
      pull.catch(() => {})
      await within(fake.asked, 10_000, 'the registry is asked')
      abort.abort(new Error('deleted'))
      await assert.rejects(within(pull, 1_000, 'the pull'), /deleted/)
      await until(() => fake.pending.size === 0, 10_000, 'the engine gives up')
    })

    it('never, when the kind says so', async (t) => {
      const { driver, signal, spec } = openContainerBench(t, engine)
      const order = spec({ image: `${registry.plain}/hive-test/never:1`, pull: 'never' })
      await assert.rejects(
        driver.prepare(order, () => {}, signal),
        /"pull": "never"/,
      )
    })
  })
}

async function authFile(t: TestContext, password: string): Promise<string> {
  const auth = Buffer.from(`${registry.user}:${password}`).toString('base64')
  return temporary(t, JSON.stringify({ auths: { [registry.auth]: { auth } } }))
}

function emptyFile(t: TestContext): Promise<string> {
  return temporary(t, '{}')
}

async function temporary(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-auth-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'auth.json')
  await writeFile(path, text, { mode: 0o600 })
  return path
}
