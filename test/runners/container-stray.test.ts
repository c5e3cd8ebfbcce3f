import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createRelay } from 'node:net'
import { describe, it } from 'node:test'
import { RunnerUnreachable } from '../../src/runners/driver.ts'
import { containerConfig, containerSpec } from '../support/container-bench.ts'
import { until, within } from '../support/deadline.ts'
import { type Answer, DOCKER_INFO, fakeContainer, json, openFakeEngine } from '../support/fake-engine.ts'
import { driverOn, HANDLE, ID, open } from '../support/fake-engine-bench.ts'

describe('answers that are not the engine’s', () => {
  const strangers: Readonly<Record<string, Answer>> = {
    'a call that Docker does not know': json(404, { message: 'page not found' }),
    'a call that Podman does not know': (response) => response.writeHead(404).end('Not Found'),
    'a web server in front of it': (response) => response.writeHead(404).end('<h1>404 Not Found</h1>'),
    nothing: (response) => response.writeHead(404).end(),
    'nothing, with the version of the API': (response) => response.writeHead(404, { 'api-version': '1.41' }).end(),
    'what is no text': json(404, { message: { toString: 1, valueOf: 1 } }),
    'JSON of somebody else': json(404, { error: 'no route' }),
  }
  for (const [name, answer] of Object.entries(strangers)) {
    it(`F35: a 404 that says ${name} is no proof that anything is gone`, async (t) => {
      const { engine, driver, signal } = await open(t)
      const spec = containerSpec(containerConfig({ image: 'x', pull: 'never' }))
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
        for (const thing of ['containers', 'images', 'exec', 'volumes']) engine.on(`${method} /${thing}/`, answer)
      }
      const status = await driver.inspect(HANDLE, signal)
      assert.equal(status.state, 'unreachable')
      const calls: Readonly<Record<string, () => Promise<unknown>>> = {
        wait: () => driver.wait(HANDLE, signal),
        stop: () => driver.stop(HANDLE, 100, signal),
        remove: () => driver.remove(HANDLE, { volumes: false }, signal),
        prepare: () => driver.prepare(spec, () => {}, signal),
        pull: () => driver.prepare(containerSpec(containerConfig({ image: 'x', pull: 'always' })), () => {}, signal),
        create: () => driver.start(spec, signal),
        restart: () => driver.start({ ...spec, handle: HANDLE }, signal),
      }
      for (const [call, run] of Object.entries(calls))
        await assert.rejects(within(run(), 5_000, call), RunnerUnreachable, call)
      engine.on('POST /containers/create', json(201, { Id: ID }))
      engine.on('HEAD /containers/', (response) => response.writeHead(404).end())
      const withCommand = containerSpec(containerConfig({ image: 'x', command: ['/bin/worker'] }))
      await assert.rejects(within(driver.start(withCommand, signal), 5_000, 'a look'), RunnerUnreachable)
    })
  }

  it('F33: what another engine behind the same TCP port has made is not booked on the one before it', async (t) => {
    const engine = await openFakeEngine(t)
    const relay = createRelay((client) => {
      const socket = connect(engine.host.replace('unix://', ''))
      client.on('error', () => socket.destroy()).on('close', () => socket.destroy())
      socket.on('error', () => client.destroy()).on('close', () => client.destroy())
      client.pipe(socket).pipe(client)
    })
    t.after(() => relay.close())
    await once(relay.listen(0, '127.0.0.1'), 'listening')
    const driver = driverOn(t, { host: `tcp://127.0.0.1:${(relay.address() as AddressInfo).port}` })
    const signal = AbortSignal.timeout(20_000)
    engine.on('POST /containers/', (response) => response.writeHead(204).end())
    engine.on('POST /containers/create', json(201, { Id: ID }))
    engine.on('GET /containers/', json(200, fakeContainer(ID)))
    const spec = containerSpec(containerConfig({ image: 'x' }))
    assert.equal((await driver.start(spec, signal)).containerId, ID)
    engine.on('GET /info', json(200, { ...DOCKER_INFO, DockerRootDir: '/other' }))
    const refused = () =>
      driver.start(spec, signal).then(
        () => null,
        (error: Error) => error,
      )
    // What was proven a moment ago is believed for a moment.
    const error = await until(refused, 10_000, 'the other engine is noticed')
    assert.match(error.message, /another engine answers/)
    assert.ok(error instanceof RunnerUnreachable)
  })

  it('F35: an engine that will not stop a container is told to kill it; one that was only in trouble stops it', async (t) => {
    for (const refusals of [1, Number.POSITIVE_INFINITY]) {
      const { engine, driver, signal } = await open(t)
      let stops = 0
      engine.on('GET /containers/', json(200, fakeContainer(ID)))
      const end: Answer = (response, request, body) => {
        engine.on('GET /containers/', json(200, fakeContainer(ID, { Status: 'exited', Running: false })))
        json(204, null)(response, request, body)
      }
      engine.on(`POST /containers/${ID}/stop`, (response, request, body) => {
        if (stops++ < refusals) json(500, { message: 'permission denied' })(response, request, body)
        else end(response, request, body)
      })
      engine.on(`POST /containers/${ID}/kill`, end)
      await within(driver.stop(HANDLE, 100, signal), 10_000, 'the stop')
      const kills = engine.calls.filter(({ line }) => line.includes('/kill')).length
      assert.deepEqual([stops, kills], [2, refusals === 1 ? 0 : 1])
    }
  })

  it('F35: a redirect leads nowhere and ends nothing, wherever it points', async (t) => {
    const { engine, driver, signal } = await open(t)
    await driver.probe(signal)
    const other = await openFakeEngine(t)
    const elsewhere = createServer((request) => void other.calls.push({ line: String(request.url), body: '' }))
    t.after(() => elsewhere.close())
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening')
    const { port } = elsewhere.address() as AddressInfo
    const spec = containerSpec(containerConfig({ image: 'x' }))
    for (const location of [
      `http://127.0.0.1:${port}/meta`,
      '/elsewhere',
      'ftp://x/y',
      '//nohost.invalid/x',
      ':',
      '',
    ]) {
      const redirect: Answer = (response) => response.writeHead(301, { location, 'api-version': '1.41' }).end()
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) engine.on(`${method} /`, redirect)
      assert.equal((await driver.inspect(HANDLE, signal)).state, 'unreachable', location)
      await assert.rejects(within(driver.start(spec, signal), 5_000, 'start'), RunnerUnreachable, location)
      await assert.rejects(
        within(driver.remove(HANDLE, { volumes: false }, signal), 5_000, 'remove'),
        RunnerUnreachable,
      )
      assert.equal((await driver.probe(signal)).available, false)
    }
    assert.deepEqual(other.calls, [], 'nobody else is asked')
  })
})
