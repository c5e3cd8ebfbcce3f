import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { ContainerConfig } from '../../src/kinds/kind.ts'
import { readHandle } from '../../src/runners/container/handle.ts'
import { createContainerDriver } from '../../src/runners/container.ts'
import type { RunnerDriver } from '../../src/runners/driver.ts'
import { bindingOf, containerConfig, containerSpec } from '../support/container-bench.ts'
import { engineOrSkip, TEST_IMAGES, type TestEngine } from '../support/engines.ts'
import { freePort } from '../support/free-port.ts'
import { type ContractWorker, type RunnerHarness, runnerContract } from '../support/runner-contract.ts'

/** The shared contract suite on each engine that is there. */
for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
  const engine = engineOrSkip(name)
  runnerContract(name, () => harness(engine), {
    skip: engine.skip,
    // The same code as for root's Podman; what differs is the engine.
    ...(name === 'podman-rootless' && { sample: 8 }),
  })
}

/** Serves `/env` too, as plain text of its own environment. */
const SERVE_ENV = 'env >/www/env; exec busybox httpd -f -p 8080 -h /www'
const IGNORE_TERM = 'trap "" TERM; busybox httpd -f -p 8080 -h /www & while :; do wait; done'

const WORKERS: Readonly<Record<ContractWorker, Partial<ContainerConfig> & { readonly image: string }>> = {
  httpd: { image: TEST_IMAGES.httpd, args: ['sh', '-c', SERVE_ENV] },
  'ignore-term': { image: TEST_IMAGES.httpd, args: ['sh', '-c', IGNORE_TERM] },
  'exit-0': { image: TEST_IMAGES.sleep, args: ['true'] },
  'exit-7': { image: TEST_IMAGES.sleep, args: ['sh', '-c', 'exit 7'] },
  sleep: { image: TEST_IMAGES.sleep },
  missing: { image: TEST_IMAGES.sleep, command: ['/no/such/command'] },
}

function harness({ type, host }: TestEngine): RunnerHarness {
  const own = randomBytes(8).toString('hex')
  const drivers: RunnerDriver[] = []
  const instances = new Set([own])
  const driver = (wanted = own): RunnerDriver => {
    // Another run of the suite may use the same engine: its foreign instance must be foreign to ours.
    const instanceId = wanted === own ? own : `${wanted}-${own}`
    instances.add(instanceId)
    const made = createContainerDriver({ type, hosts: [host], instanceId, registryAuthFile: null, home: null })
    drivers.push(made)
    return made
  }
  return {
    features: { envPath: '/env', tellsWhoLaunched: type === 'podman', patienceMs: 15_000 },
    driver,
    async spec(worker, overrides) {
      const config = containerConfig({ runner: type, ...WORKERS[worker] })
      return containerSpec(config, { ports: [bindingOf(await freePort())], env: { PORT: '8080' }, ...overrides })
    },
    async visible(handle) {
      const container = JSON.parse(await inspectRaw(host, readHandle(handle).containerId)) as Record<string, unknown>
      // The environment is visible inside the engine: documented, not hidden.
      return JSON.stringify({ ...container, Config: { ...(container['Config'] as object), Env: [] } })
    },
    async cleanup() {
      const signal = AbortSignal.timeout(60_000)
      for (const instance of instances) {
        const cleaner = driver(instance === own ? own : instance.slice(0, -own.length - 1))
        for (const { handle } of await cleaner.list(signal)) await cleaner.remove(handle, { volumes: true }, signal)
      }
      for (const each of drivers) await each.close()
    },
  }
}

function inspectRaw(host: string, id: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = `/containers/${id}/json`
    const call = request({ socketPath: host.replace('unix://', ''), path, timeout: 10_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
    call.on('error', reject).end()
  })
}
