import { randomUUID } from 'node:crypto'
import type { RestartPolicy, ScriptConfig } from '../../src/kinds/kind.ts'
import type { LaunchSpec, PortBinding } from '../../src/runners/driver.ts'

/** Most tests look at one attempt. */
export const NEVER: RestartPolicy = {
  policy: 'never',
  maxAttempts: 5,
  windowMs: 600_000,
  backoffMinMs: 1_000,
  backoffMaxMs: 60_000,
}

/** A script kind's config with nothing set but what is given. */
export function scriptConfig(overrides: Partial<ScriptConfig> & { readonly command: string }): ScriptConfig {
  return {
    runner: 'script',
    args: [],
    workingDir: null,
    portNames: [],
    sandbox: 'none',
    sha256: null,
    environment: {},
    acceptEnvironment: ['*'],
    port: null,
    user: null,
    resources: { memoryBytes: null, cpus: null, pids: null, nofile: null, nproc: null },
    readyTimeoutMs: 60_000,
    stopGraceMs: 10_000,
    healthChecks: [],
    restart: NEVER,
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

/** The binding of a script's port on 127.0.0.1; inside and outside are the same. */
export function scriptPort(port: number, name: string | null = null): PortBinding {
  return { port, host: '127.0.0.1', hostPort: port, protocol: 'tcp', name }
}

/**
 * A launch of a script on one port, or on none when `port` is null.
 * `PORT` stands in its environment unless `env` is overridden.
 */
export function scriptSpec(
  config: Partial<ScriptConfig> & { readonly command: string },
  { port, ...overrides }: Partial<LaunchSpec> & { readonly port: number | null },
): LaunchSpec {
  const id = overrides.id ?? randomUUID()
  return {
    id,
    name: `cocoon-${id.slice(0, 8)}`,
    kind: 'native',
    attempt: 1,
    requestId: `req-${id.slice(0, 8)}`,
    config: scriptConfig(config),
    env: port === null ? {} : { PORT: String(port) },
    ports: port === null ? [] : [scriptPort(port)],
    configHmac: 'c0ffee',
    handle: null,
    recreate: false,
    ...overrides,
  }
}
