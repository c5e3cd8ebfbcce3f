import { randomBytes, randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { ContainerConfig } from '../../src/kinds/kind.ts'
import { type ContainerDriverOptions, createContainerDriver } from '../../src/runners/container.ts'
import type { LaunchSpec, PortBinding, RunnerDriver } from '../../src/runners/driver.ts'
import type { TestEngine } from './engines.ts'
import { freePort } from './free-port.ts'

const NO_RESOURCES = { memoryBytes: null, cpus: null, pids: null, nofile: null, nproc: null }
const DEFAULT_CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'KILL', 'NET_BIND_SERVICE']

/** A container kind's config with nothing set but what is given. */
export function containerConfig(overrides: Partial<ContainerConfig> & { readonly image: string }): ContainerConfig {
  return {
    runner: 'docker',
    command: null,
    args: null,
    containerName: null,
    workingDir: null,
    volumes: [],
    ports: [],
    security: {
      capAdd: DEFAULT_CAPABILITIES,
      capDrop: ['ALL'],
      readOnly: false,
      seccomp: null,
      apparmor: null,
      selinux: null,
      userns: null,
      allowSudo: false,
    },
    gpus: null,
    pull: 'missing',
    environment: {},
    acceptEnvironment: ['*'],
    port: null,
    user: null,
    resources: NO_RESOURCES,
    readyTimeoutMs: 60_000,
    stopGraceMs: 10_000,
    healthChecks: [],
    restart: { policy: 'never', maxAttempts: 5, windowMs: 600_000, backoffMinMs: 1_000, backoffMaxMs: 60_000 },
    ttlMs: null,
    idleTimeoutMs: null,
    wake: false,
    allowOrigins: [],
    stripPrefix: true,
    expose: null,
    uses: [],
    ...overrides,
  }
}

/** The binding of a container's port to a host port on loopback. */
export function bindingOf(hostPort: number, port = 8080): PortBinding {
  return { port, host: '127.0.0.1', hostPort, protocol: 'tcp', name: null }
}

export function containerSpec(config: ContainerConfig, overrides: Partial<LaunchSpec> = {}): LaunchSpec {
  const id = overrides.id ?? randomUUID()
  return {
    id,
    name: `cocoon-${id.slice(0, 8)}`,
    kind: 'box',
    attempt: 1,
    requestId: `req-${id.slice(0, 8)}`,
    config,
    env: {},
    ports: [],
    configHmac: 'c0ffee',
    handle: null,
    recreate: false,
    ...overrides,
  }
}

/** A driver of an instance of its own, whose containers are removed after the test. */
export interface ContainerBench {
  readonly driver: RunnerDriver
  readonly instanceId: string
  readonly signal: AbortSignal
  readonly warnings: string[]
  /** Another driver of the same instance. */
  another(options?: Partial<ContainerDriverOptions>): RunnerDriver
  spec(config: Partial<ContainerConfig> & { readonly image: string }, overrides?: Partial<LaunchSpec>): LaunchSpec
  /** The same with port 8080 on a free host port. */
  specWithPort(
    config: Partial<ContainerConfig> & { readonly image: string },
    overrides?: Partial<LaunchSpec>,
  ): Promise<LaunchSpec>
}

export function openContainerBench(
  t: TestContext,
  engine: TestEngine,
  options: Partial<ContainerDriverOptions> = {},
): ContainerBench {
  const instanceId = randomBytes(8).toString('hex')
  const signal = AbortSignal.timeout(100_000)
  const warnings: string[] = []
  const drivers: RunnerDriver[] = []
  const another = (more: Partial<ContainerDriverOptions> = {}): RunnerDriver => {
    const base = { type: engine.type, hosts: [engine.host], instanceId, registryAuthFile: null, home: null }
    const onWarning = (message: string): number => warnings.push(message)
    const driver = createContainerDriver({ ...base, onWarning, ...options, ...more })
    drivers.push(driver)
    return driver
  }
  const driver = another()
  t.after(async () => {
    const clean = AbortSignal.timeout(60_000)
    for (const { handle } of await driver.list(clean)) await driver.remove(handle, { volumes: true }, clean)
    for (const each of drivers) await each.close()
  })
  const spec: ContainerBench['spec'] = (config, overrides) =>
    containerSpec(containerConfig({ runner: engine.type, ...config }), overrides)
  const specWithPort: ContainerBench['specWithPort'] = async (config, overrides) =>
    spec(config, { ports: [bindingOf(await freePort())], ...overrides })
  return { driver, instanceId, signal, warnings, another, spec, specWithPort }
}
