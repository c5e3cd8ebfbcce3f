import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Circuit } from '../../src/runners/container/circuit.ts'
import { createContainerDriver } from '../../src/runners/container.ts'
import { LaunchRefused, RunnerUnreachable } from '../../src/runners/driver.ts'
import { containerConfig, containerSpec } from '../support/container-bench.ts'
import { until, within } from '../support/deadline.ts'
import { breakOff, DOCKER_INFO, fakeContainer, json, openFakeEngine, silence } from '../support/fake-engine.ts'
import { driverOn, HANDLE, ID, open } from '../support/fake-engine-bench.ts'

describe('an engine that answers badly', () => {
  const faults = {
    'status 500': json(500, { message: 'boom' }),
    'status 503': json(503, { message: 'not now' }),
    'an answer cut off': breakOff(200, '{"Id": "'),
    'truncated JSON': (response: Parameters<typeof silence>[0]) => response.writeHead(200).end('{"Id": "'),
    'the wrong type': json(200, [1, 2]),
    'another container': json(200, fakeContainer('b'.repeat(64))),
    'an empty body': (response: Parameters<typeof silence>[0]) => response.writeHead(200).end(),
    'no answer at all': silence,
    'a connection dropped': (response: Parameters<typeof silence>[0]) => response.socket?.destroy(),
  }
  for (const [name, answer] of Object.entries(faults)) {
    it(`F35: ${name} makes inspect answer unreachable and list throw RunnerUnreachable`, async (t) => {
      const { engine, driver, signal } = await open(t)
      engine.on('GET /containers/', answer)
      const status = await within(driver.inspect(HANDLE, signal), 5_000, 'inspect')
      assert.equal(status.state, 'unreachable')
      engine.on('GET /containers/json', name === 'the wrong type' ? json(200, { a: 1 }) : answer)
      await assert.rejects(within(driver.list(signal), 5_000, 'list'), RunnerUnreachable)
    })
  }

  it('F35: an answer without an end in sight is cut off at its size limit', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on('GET /containers/', (response) => {
      response.writeHead(200)
      const chunk = Buffer.alloc(1 << 20, 0x20)
      const pour = (): void => {
        while (!response.destroyed && response.write(chunk));
      }
      response.on('drain', pour).on('error', () => {})
      pour()
    })
    const status = await within(driver.inspect(HANDLE, signal), 10_000, 'inspect')
    assert.equal(status.state, 'unreachable')
    await until(() => engine.open.size === 0, 5_000, 'the connection is let go')
  })

  it('F35: a wait whose answer is cut off settles as unreachable', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on(`POST /containers/${ID}/wait`, breakOff(200, ' '))
    await assert.rejects(within(driver.wait(HANDLE, signal), 5_000, 'wait'), RunnerUnreachable)
  })

  it('a wait that a stopping daemon ends without a word settles as unreachable', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on(`POST /containers/${ID}/wait`, (response) => response.writeHead(200).end())
    await assert.rejects(within(driver.wait(HANDLE, signal), 5_000, 'wait'), RunnerUnreachable)
  })

  it('F35: a removal that answers 404 for what is still there has not removed it', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on('GET /containers/', json(200, fakeContainer(ID)))
    let asked = 0
    engine.on('DELETE /containers/', (response, request, body) => {
      asked++
      if (asked === 2) engine.on('GET /containers/', json(404, { message: 'No such container' }))
      json(asked === 1 ? 404 : 204, { message: 'No such container' })(response, request, body)
    })
    await within(driver.remove(HANDLE, { volumes: false }, signal), 5_000, 'remove')
    assert.equal(asked, 2)
  })

  it('F32: a wait is broken off when the engine hangs, for it would tell nothing any more', async (t) => {
    const { engine, signal } = await open(t)
    const driver = driverOn(t, engine, {})
    await driver.probe(signal)
    engine.on('POST /containers/', silence)
    const waiting = driver.wait(HANDLE, signal)
    waiting.catch(() => {})
    await until(() => engine.open.size === 1, 5_000, 'the wait is open')
    engine.on('HEAD /_ping', silence)
    assert.equal((await driver.probe(signal)).available, false)
    await assert.rejects(within(waiting, 5_000, 'wait'), RunnerUnreachable)
  })

  it('an aborted wait lets go of its connection', async (t) => {
    const { engine, driver, signal } = await open(t)
    await driver.probe(signal)
    engine.on(`POST /containers/${ID}/wait`, silence)
    const abort = new AbortController()
    const waiting = driver.wait(HANDLE, abort.signal)
    await until(() => engine.open.size === 1, 5_000, 'the wait is open')
    abort.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    await until(() => engine.open.size === 0, 5_000, 'the connection is closed')
  })
})

describe('an engine that is away', () => {
  it('F33: probe says which socket and why, and never throws', async (t) => {
    const { engine, driver, signal } = await open(t)
    await engine.close()
    const { available, reason } = await driver.probe(signal)
    assert.equal(available, false)
    assert.match(reason ?? '', /engine\.sock: (there is no such socket|nobody listens there)/)
    assert.match(reason ?? '', /HIVE_DOCKER_HOST/)
    assert.equal(driver.describe(containerConfig({ image: 'x' })).reason, reason)
  })

  it('no address at all is a reason of its own', async () => {
    const base = { type: 'podman', instanceId: 'x', registryAuthFile: null, home: null } as const
    const driver = createContainerDriver({ ...base, hosts: [] })
    const { reason } = await driver.probe(AbortSignal.timeout(5_000))
    assert.match(reason ?? '', /no podman engine is configured: set HIVE_PODMAN_HOST/)
    await driver.close()
  })

  it('one that takes longer for its facts than a probe may wait is known as soon as they are there', async (t) => {
    const engine = await openFakeEngine(t)
    const driver = driverOn(t, engine, { callMs: 10_000 })
    const facts = Promise.withResolvers<Parameters<typeof silence>[0]>()
    engine.on('GET /info', facts.resolve)
    const hurried = AbortSignal.timeout(200)
    await assert.rejects(driver.probe(hurried), { name: 'TimeoutError' })
    const answered = await facts.promise
    engine.on('GET /info', json(500, { message: 'asked once too often' }))
    json(200, DOCKER_INFO)(answered, answered.req, '')
    await until(async () => (await driver.probe(AbortSignal.timeout(5_000))).available, 5_000, 'the engine')
    assert.equal(engine.calls.filter(({ line }) => line === 'GET /info').length, 1)
  })

  it('the first address that answers is used, and kept', async (t) => {
    const [first, second] = [await openFakeEngine(t), await openFakeEngine(t)]
    first.on('HEAD /_ping', json(500, {}))
    second.on('GET /containers/json', json(200, []))
    const base = { type: 'docker', instanceId: 'x', registryAuthFile: null, home: null } as const
    const driver = createContainerDriver({ ...base, hosts: [first.host, second.host] })
    t.after(() => driver.close())
    const signal = AbortSignal.timeout(10_000)
    assert.equal((await driver.probe(signal)).available, true)
    assert.deepEqual(await driver.list(signal), [])
    first.on('HEAD /_ping', (response) => response.writeHead(200).end())
    await driver.probe(signal)
    second.on('POST /containers/create', json(404, { message: 'No such image: x' }))
    await assert.rejects(driver.start(containerSpec(containerConfig({ image: 'x' })), signal), LaunchRefused)
    assert.equal(
      first.calls.some(({ line }) => line.includes('/containers/create')),
      false,
    )
  })

  it('only the engine that made a container can deny it', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on('GET /containers/', json(404, { message: 'No such container' }))
    assert.deepEqual(await driver.inspect(HANDLE, signal), { state: 'missing' })
    engine.on('GET /info', json(200, { ...DOCKER_INFO, DockerRootDir: '/other' }))
    const other = driverOn(t, engine)
    assert.equal((await other.inspect(HANDLE, signal)).state, 'unreachable')
  })

  it('another store that comes up at the same address denies nothing', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on('GET /containers/', json(200, fakeContainer(ID)))
    assert.equal((await driver.inspect(HANDLE, signal)).state, 'running')
    engine.on('GET /info', json(200, { ...DOCKER_INFO, DockerRootDir: '/other' }))
    engine.on('GET /containers/', json(404, { message: 'No such container' }))
    // What was proven a moment ago is believed for a moment.
    const status = await until(
      async () => {
        const now = await driver.inspect(HANDLE, signal)
        return now.state === 'missing' ? null : now
      },
      5_000,
      'the other engine is noticed',
    )
    assert.equal(status.state, 'unreachable')
  })

  it('F33: what another store at the same address does not know is neither stopped nor removed', async (t) => {
    const { engine, driver, signal } = await open(t)
    await driver.probe(signal)
    for (const method of ['GET', 'POST', 'DELETE'])
      engine.on(`${method} /containers/`, json(404, { message: 'No such container: x' }))
    engine.on('GET /info', json(200, { ...DOCKER_INFO, DockerRootDir: '/other' }))
    // What was proven a moment ago is believed for a moment.
    const unreachable = (call: () => Promise<void>) => async (): Promise<boolean> =>
      call().then(
        () => false,
        (error: unknown) => error instanceof RunnerUnreachable,
      )
    await until(
      unreachable(() => driver.stop(HANDLE, 100, signal)),
      5_000,
      'the other engine is noticed',
    )
    assert.equal(await unreachable(() => driver.remove(HANDLE, { volumes: false }, signal))(), true)
  })

  it('F33: what another kind of engine at the same address has made is not booked on this one', async (t) => {
    const { engine, driver, signal } = await open(t)
    await driver.probe(signal)
    const podman = { 'api-version': '1.41', 'libpod-api-version': '4.3.1' }
    engine.on('POST /containers/create', (response) => response.writeHead(201, podman).end(JSON.stringify({ Id: ID })))
    const spec = containerSpec(containerConfig({ image: 'x' }))
    await assert.rejects(driver.start(spec, signal), /another engine answers/)
    assert.equal(engine.calls.filter(({ line }) => line.endsWith('/start')).length, 0)
  })

  it('F33: an engine that was away while another had its address is known again when it is back', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on('GET /containers/', json(200, fakeContainer(ID)))
    assert.equal((await driver.inspect(HANDLE, signal)).state, 'running')
    engine.on('HEAD /_ping', json(500, {}))
    await driver.probe(signal)
    engine.on('HEAD /_ping', (response) => response.writeHead(200).end())
    engine.on('GET /info', json(200, { ...DOCKER_INFO, DockerRootDir: '/other' }))
    await driver.probe(signal)
    const away = await driver.inspect(HANDLE, signal)
    assert.match(away.state === 'unreachable' ? away.reason : '', /another engine answers at unix:/)
    // No probe sees the change back.
    engine.on('GET /info', json(200, DOCKER_INFO))
    const asked = () => engine.calls.filter(({ line }) => line === 'GET /info').length
    const before = asked()
    await until(async () => (await driver.inspect(HANDLE, signal)).state === 'running', 10_000, 'it is known again')
    assert.ok(asked() - before <= 2, 'it is not asked at every call')
  })

  it('F32: an engine that hangs fails calls at once after three timeouts, until a probe gets through', async (t) => {
    const { engine, driver, signal } = await open(t)
    await driver.probe(signal)
    engine.on('GET /containers/', silence)
    for (let i = 0; i < 3; i++) await driver.inspect(HANDLE, signal)
    const before = engine.calls.length
    const status = await driver.inspect(HANDLE, signal)
    assert.match(status.state === 'unreachable' ? status.reason : '', /3 times in a row/)
    assert.equal(engine.calls.length, before, 'the engine is left alone')
    engine.on('GET /containers/', json(200, fakeContainer(ID)))
    assert.equal((await driver.probe(signal)).available, true)
    assert.equal((await driver.inspect(HANDLE, signal)).state, 'running')
  })

  it('F32: a call that may take long is given up early by an engine that hangs, and by no other', async (t) => {
    const { engine, signal } = await open(t)
    const driver = driverOn(t, engine, { callMs: 300, startMs: 60_000 })
    await driver.probe(signal)
    const slow = Promise.withResolvers<Parameters<typeof silence>[0]>()
    engine.on('POST /containers/create', slow.resolve)
    const spec = containerSpec(containerConfig({ image: 'x' }))
    const starting = driver.start(spec, signal)
    starting.catch(() => {})
    const creating = await slow.promise
    const pings = () => engine.calls.filter(({ line }) => line === 'HEAD /_ping').length
    const before = pings()
    await until(() => pings() >= before + 4, 5_000, 'it is asked whether it lives')
    engine.on('GET /containers/', json(200, fakeContainer(ID)))
    engine.on('POST /containers/', (response) => response.writeHead(204).end())
    json(201, { Id: ID })(creating, creating.req, '')
    assert.equal((await starting).containerId, ID)
    engine.on('POST /containers/create', silence)
    engine.on('HEAD /_ping', silence)
    await assert.rejects(within(driver.start(spec, signal), 5_000, 'the start'), RunnerUnreachable)
  })

  it('the circuit lets one trial through every five seconds', () => {
    let now = 0
    const circuit = new Circuit(() => now)
    for (let i = 0; i < 3; i++) circuit.timedOut()
    assert.throws(() => circuit.admit('e'), RunnerUnreachable)
    now = 5_000
    circuit.admit('e')
    assert.throws(() => circuit.admit('e'), RunnerUnreachable)
    circuit.answered()
    circuit.admit('e')
  })
})

describe('a create whose fate is unclear', () => {
  it('F2: the reply is lost, and the next start adopts what was created', async (t) => {
    const { engine, driver, signal } = await open(t)
    const spec = containerSpec(containerConfig({ image: 'x' }))
    engine.on('POST /containers/create', (response) => response.socket?.destroy())
    await assert.rejects(driver.start(spec, signal), RunnerUnreachable)
    const labels = { 'hive.instance': 'fakeinstance', 'hive.id': spec.id, 'hive.attempt': '1' }
    const created = { Status: 'created', Running: false, StartedAt: '0001-01-01T00:00:00Z' }
    engine.on('POST /containers/create', json(409, { message: 'Conflict. The container name is already in use' }))
    engine.on('GET /containers/', json(200, fakeContainer(ID, created, labels)))
    engine.on(`POST /containers/${ID}/start`, (response) => {
      engine.on('GET /containers/', json(200, fakeContainer(ID, {}, labels)))
      response.writeHead(204).end()
    })
    const launched = await driver.start(spec, signal)
    assert.equal(launched.containerId, ID)
    assert.equal(engine.calls.filter(({ line }) => line.startsWith('POST /containers/create')).length, 2)
  })

  it('the environment goes into the body of create and not into its address', async (t) => {
    const { engine, driver, signal } = await open(t)
    engine.on('POST /containers/create', json(400, { message: 'bad value planted-secret in the request' }))
    const spec = containerSpec(containerConfig({ image: 'x' }), { env: { TOKEN: 'planted-secret' } })
    await assert.rejects(driver.start(spec, signal), (error: Error) => {
      assert.ok(error instanceof LaunchRefused)
      assert.doesNotMatch(error.message, /planted-secret/)
      return true
    })
    const create = engine.calls.find(({ line }) => line.startsWith('POST /containers/create'))
    assert.match(create?.line ?? '', /^POST \/containers\/create\?name=hive-fakeinst-cocoon-[0-9a-f]{8}$/)
    assert.match(create?.body ?? '', /"TOKEN=planted-secret"/)
  })
})
