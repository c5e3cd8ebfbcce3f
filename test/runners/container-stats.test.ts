import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { createContainerDriver } from '../../src/runners/container.ts'
import { type RunnerHandle, RunnerUnreachable } from '../../src/runners/driver.ts'
import { openContainerBench } from '../support/container-bench.ts'
import { until } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES, type TestEngine } from '../support/engines.ts'
import { type Answer, fakeContainer, json, openFakeEngine, silence } from '../support/fake-engine.ts'

/** A fake engine on another machine, and a driver with short deadlines. */
async function fakeBench(t: TestContext) {
  const engine = await openFakeEngine(t)
  const driver = createContainerDriver({
    type: 'docker',
    hosts: [engine.host],
    instanceId: 'stats-test',
    registryAuthFile: null,
    home: null,
    timeouts: { callMs: 100 },
  })
  t.after(() => driver.close())
  const signal = AbortSignal.timeout(20_000)
  await driver.probe(signal)
  const data = { engine: 'docker:FAKE@/fake', containerId: 'c1', name: 'c1', startedAt: null, volumes: null }
  const handle: RunnerHandle = { version: 1, runner: 'docker', data }
  const answer = (rule: Answer) => engine.on('GET /containers/c1/stats', rule)
  return { engine, driver, signal, handle, answer, stats: () => driver.stats(handle, signal) }
}

const READ = '2026-01-01T00:00:00Z'

describe('stats from an engine on another machine', () => {
  it('leaves the page cache out, of cgroups v1 and v2', async (t) => {
    const { answer, stats } = await fakeBench(t)
    const rest = {
      read: READ,
      cpu_stats: { cpu_usage: { total_usage: 2_500_000_000 } },
      pids_stats: { current: 7 },
      networks: { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 10, tx_bytes: 20 } },
    }
    const v1 = {
      usage: 1_000,
      limit: 5_000,
      stats: { inactive_file: 1, total_inactive_file: 300, total_active_file: 100 },
    }
    const v2 = { usage: 1_000, limit: 5_000, stats: { inactive_file: 300, active_file: 100 } }
    for (const memory_stats of [v1, v2]) {
      answer(json(200, { ...rest, memory_stats }))
      const { unknown, ...usage } = (await stats()) ?? assert.fail('it runs')
      assert.deepEqual(usage, {
        cpuMs: 2_500,
        memoryBytes: 600,
        memoryLimitBytes: 5_000,
        processes: null,
        threads: 7,
        openFiles: null,
        network: { rxBytes: 11, txBytes: 22 },
      })
      assert.deepEqual(
        Object.keys(unknown).toSorted((a, b) => a.localeCompare(b)),
        ['open_files', 'processes'],
      )
    }
  })

  it('F35: makes no number of an answer without sense, and says of each what is missing', async (t) => {
    const { answer, stats } = await fakeBench(t)
    const odd = {
      read: READ,
      cpu_stats: 'much',
      memory_stats: { usage: -1, limit: 'x', stats: null },
      networks: [null],
    }
    for (const body of [
      { read: READ },
      odd,
      { ...odd, cpu_stats: { cpu_usage: { total_usage: null } }, networks: null },
    ]) {
      answer(json(200, body))
      const { unknown, network, ...usage } = (await stats()) ?? assert.fail('it runs')
      assert.ok(
        Object.values(usage).every((value) => value === null),
        JSON.stringify(usage),
      )
      for (const name of ['cpu', 'memory', 'memory_limit', 'threads']) assert.ok(name in unknown, name)
      assert.equal(network === null, 'network' in unknown)
    }
  })

  it('nothing is used by what does not run: zeros of the year 1, no body, 404, 409', async (t) => {
    const { answer, stats } = await fakeBench(t)
    const zeros = { read: '0001-01-01T00:00:00Z', cpu_stats: { cpu_usage: { total_usage: 0 } }, memory_stats: {} }
    const empty: Answer = (response) => response.writeHead(200).end()
    for (const rule of [
      json(200, zeros),
      empty,
      json(404, { message: 'No such container' }),
      json(409, { message: 'stopped' }),
    ]) {
      answer(rule)
      assert.equal(await stats(), null)
    }
  })

  it('F35: a call that the engine does not know is no measurement', async (t) => {
    const { answer, stats } = await fakeBench(t)
    answer(json(404, { message: 'page not found' }))
    await assert.rejects(stats(), RunnerUnreachable)
  })

  it('F32: an engine that only hangs while it measures goes on with everything else', async (t) => {
    const { engine, answer, stats, driver, handle, signal } = await fakeBench(t)
    engine.on('GET /containers/c1/json', json(200, fakeContainer('c1')))
    answer(silence)
    for (let i = 0; i < 5; i++) await assert.rejects(stats(), RunnerUnreachable)
    assert.equal((await driver.inspect(handle, signal)).state, 'running')
    const gone = AbortSignal.abort(new Error('nobody asks any more'))
    await assert.rejects(driver.stats(handle, gone), /nobody asks/)
  })
})

/** The engine's socket on a TCP port: the driver takes it for an engine on another machine. */
async function elsewhere({ host }: TestEngine) {
  const server = createServer((client) => {
    const engine = connect(host.replace('unix://', ''))
    client.on('error', () => engine.destroy()).on('close', () => engine.destroy())
    engine.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.pipe(engine).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { host: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}

for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
  const engine = engineOrSkip(name)
  it(`stats as ${name} itself tells them: the directions are right, and what it cannot know is null`, {
    skip: engine.skip,
  }, async (t) => {
    const { host, close } = await elsewhere(engine)
    const bench = openContainerBench(t, engine, { hosts: [host] })
    t.after(close) // hooks run in the order of their making: the bench removes its container through it
    const serve = 'dd if=/dev/zero of=/www/big bs=1000000 count=1 2>/dev/null; exec busybox httpd -f -p 8080 -h /www'
    const spec = await bench.specWithPort({ image: TEST_IMAGES.httpd, args: ['sh', '-c', serve] })
    await bench.driver.prepare(spec, () => {}, bench.signal)
    const { handle, endpoint } = await bench.driver.start(spec, bench.signal)
    const { stats } = bench.driver as unknown as ReturnType<typeof createContainerDriver>
    const ask = () => stats.call(bench.driver, handle, bench.signal)
    const usage = await until(ask, 10_000, 'an answer')
    assert.deepEqual([usage.processes, usage.openFiles], [null, null])
    assert.equal(usage.memoryBytes === null, name !== 'docker')
    if (name === 'podman-rootless') assert.deepEqual([usage.cpuMs, usage.threads], [null, null])
    else assert.ok((usage.cpuMs ?? 0) > 0 && (usage.threads ?? 0) >= 1)
    assert.ok(usage.network && endpoint)
    const { host: address, port } = endpoint
    const download = () => fetch(`http://${address}:${port}/big`).then((answer) => answer.arrayBuffer())
    await until(() => download().then(({ byteLength }) => byteLength === 1_000_000), 10_000, 'a download')
    // What rootless Podman publishes goes through the container's loopback, which is not counted.
    if (name === 'podman-rootless') return
    const { network } = (await ask()) ?? assert.fail('it runs')
    assert.ok(network && network.txBytes >= 1_000_000 && network.rxBytes < 500_000, JSON.stringify(network))
  })
}
