import type { TestContext } from 'node:test'
import { makeHandle } from '../../src/runners/container/handle.ts'
import type { Timeouts } from '../../src/runners/container/timeouts.ts'
import { createContainerDriver } from '../../src/runners/container.ts'
import type { RunnerDriver } from '../../src/runners/driver.ts'
import { type FakeEngine, openFakeEngine } from './fake-engine.ts'

export const ID = 'a'.repeat(64)
const ENGINE = 'docker:FAKE@/fake'
export const HANDLE = makeHandle('docker', {
  engine: ENGINE,
  containerId: ID,
  name: 'box',
  startedAt: null,
  volumes: [],
})
const CALL_MS = 150
const SHORT = { callMs: CALL_MS, startMs: CALL_MS }

/** A driver with short deadlines on a fake engine; closed after the test. */
export function driverOn(
  t: TestContext,
  { host }: Pick<FakeEngine, 'host'>,
  timeouts: Partial<Timeouts> = SHORT,
): RunnerDriver {
  const base = { type: 'docker', instanceId: 'fakeinstance', registryAuthFile: null, home: null } as const
  const driver = createContainerDriver({ ...base, hosts: [host], timeouts })
  t.after(() => driver.close())
  return driver
}

/** A fake engine and a driver on it. */
export async function open(t: TestContext) {
  const engine = await openFakeEngine(t)
  return { engine, driver: driverOn(t, engine), signal: AbortSignal.timeout(20_000) }
}
