import { randomUUID } from 'node:crypto'
import type { ExitStatus, LaunchSpec } from '../../src/runners/driver.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { type FakeBehaviour, FakeRunner } from '../support/fake-driver.ts'
import { freePort } from '../support/free-port.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { type ContractWorker, type RunnerHarness, runnerContract } from '../support/runner-contract.ts'

const exit = (code: number): ExitStatus => ({ code, signal: null, oom: false })

const behaviours: Readonly<Record<ContractWorker, FakeBehaviour>> = {
  httpd: { serve: true },
  'ignore-term': { serve: true, ignoresTerm: true },
  'exit-0': { exit: exit(0) },
  'exit-7': { exit: exit(7) },
  sleep: { listens: false },
  missing: {},
}

function behave(spec: LaunchSpec): FakeBehaviour {
  const worker = spec.config.runner === 'script' ? spec.config.command : spec.config.image
  if (worker === 'missing') throw new LaunchRefused('The fake command is missing')
  return behaviours[worker as ContractWorker]
}

function fakeHarness(): RunnerHarness {
  const runner = new FakeRunner({ behave })
  return {
    features: { envPath: '/', tellsWhoLaunched: true, patienceMs: 5_000 },
    driver: (instanceId) => runner.driver(instanceId),
    spec: async (worker, overrides) =>
      scriptSpec({ command: worker }, { id: randomUUID(), port: await freePort(), ...overrides }),
    cleanup: () => runner.close(),
  }
}

runnerContract('the fake runner', fakeHarness)
