import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createContainerDriver } from '../../src/runners/container.ts'
import { type RunnerHandle, RunnerUnreachable } from '../../src/runners/driver.ts'
import { json, openFakeEngine, silence } from '../support/fake-engine.ts'

const HANDLE: RunnerHandle = {
  version: 1,
  runner: 'docker',
  data: { engine: 'docker:FAKE@/fake', containerId: 'c1', name: 'c1', startedAt: null, volumes: null },
}

async function bench(t: TestContext) {
  const engine = await openFakeEngine(t)
  const driver = createContainerDriver({
    type: 'docker',
    hosts: [engine.host],
    instanceId: 'exec-test',
    registryAuthFile: null,
    home: null,
  })
  t.after(() => driver.close())
  await driver.probe(AbortSignal.timeout(5_000))
  engine.on('POST /containers/c1/exec', json(201, { Id: 'e1' }))
  engine.on('POST /exec/e1/start', json(200, {}))
  engine.on('GET /exec/e1/json', json(200, { Running: false, ExitCode: 0 }))
  return { engine, exec: (ms = 5_000) => driver.exec(HANDLE, ['true'], AbortSignal.timeout(ms)) }
}

describe('a command in a container', () => {
  for (const call of ['POST /containers/c1/exec', 'POST /exec/e1/start', 'GET /exec/e1/json'])
    it(`F56: is the engine's failure while ${call} has no answer, and stands in nobody's way afterwards`, async (t) => {
      const { engine, exec } = await bench(t)
      engine.on(call, silence)
      await assert.rejects(exec(100), RunnerUnreachable)
      // Made, and never begun: the engine got to that much before it hung.
      engine.on('GET /exec/e1/json', json(200, { Running: false, ExitCode: null }))
      engine.on('POST /containers/c1/exec', json(201, { Id: 'e2' }))
      engine.on('POST /exec/e2/start', json(200, {}))
      engine.on('GET /exec/e2/json', json(200, { Running: false, ExitCode: 3 }))
      assert.deepEqual(await exec(), { code: 3 })
    })

  it('is its own failure once the engine has begun it', async (t) => {
    const { engine, exec } = await bench(t)
    engine.on('POST /exec/e1/start', (response) => response.writeHead(200).flushHeaders())
    await assert.rejects(exec(100), { name: 'TimeoutError' })
    engine.on('GET /exec/e1/json', json(200, { Running: true, ExitCode: null }))
    await assert.rejects(exec(), /the command before it still runs/)
  })
})
