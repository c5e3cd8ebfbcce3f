import type { RunnerConfig } from '../../kinds/kind.ts'
import type { LaunchSpec } from '../../runners/driver.ts'
import type { SupervisorParts } from '../context.ts'
import type { PortLease, ServiceRow } from '../state/record.ts'
import { openSecrets } from '../table/secrets.ts'
import { cocoonEnvironment } from './environment.ts'
import type { PortWish } from './ports.ts'

/**
 * Everything the driver needs for the row's current attempt, secrets included.
 * @throws HIVE_SECRETS_LOST  the key is gone.
 */
export function launchSpec(parts: SupervisorParts, row: ServiceRow, leases: readonly PortLease[]): LaunchSpec {
  const { id, name, kind, attempt, request_id: requestId } = row.record
  const secrets = openSecrets(parts.vault, row)
  // Before a container is prepared it has no leases yet, but the port inside it is already known.
  const port = leases[0]?.port ?? portWishes(row.config, [])[0]?.port ?? null
  const values = { kind, service_name: name, request_id: requestId, port }
  const config = parts.fillPlaceholders({ ...row.config, environment: secrets.kindEnvironment }, values)
  const env = cocoonEnvironment({
    name,
    kind,
    requestId,
    kindEnvironment: config.environment,
    secrets,
    leases,
    script: config.runner === 'script',
    signalingUrl: parts.signalingUrl,
    uses: parts.exposure?.environment(row) ?? { vars: {}, own: {} },
  })
  const { handle, intent, configHmac } = row
  return {
    id,
    name,
    kind,
    attempt,
    requestId,
    config,
    env,
    ports: leases,
    configHmac,
    handle,
    recreate: intent.recreate,
  }
}

/** The ports a launch needs, the exposed one first. @param exposed  what the image EXPOSEs. */
export function portWishes(config: RunnerConfig, exposed: readonly number[]): readonly PortWish[] {
  if (config.runner === 'script') {
    const further = config.portNames.map((name) => ({ port: null, hostPort: null, name }))
    return [{ port: null, hostPort: null, name: null }, ...further]
  }
  const declared = config.ports.map(({ port, hostPort }) => ({ port, hostPort, name: null }))
  if (config.port !== null) {
    const first = declared.find(({ port }) => port === config.port) ?? { port: config.port, hostPort: null, name: null }
    return [first, ...declared.filter(({ port }) => port !== config.port)]
  }
  const only = exposed.length === 1 ? exposed[0] : undefined
  return declared.length === 0 && only !== undefined ? [{ port: only, hostPort: null, name: null }] : declared
}

/** True if a declared port must accept before the cocoon is `running`; an image's EXPOSE alone is no such promise. */
export function isGated(parts: SupervisorParts, config: RunnerConfig): boolean {
  const named = config.runner === 'script' ? config.portNames.length > 0 : config.ports.length > 0
  // What it exposes is awaited by others: they must not come before it listens.
  return config.port !== null || named || config.expose != null || parts.usesPort(config)
}
