import type { UsesEnvironment } from '../../exposure/environment.ts'
import type { PortLease } from '../state/record.ts'
import type { ServiceSecrets } from '../table/vault.ts'

export interface EnvironmentInput {
  readonly name: string
  readonly kind: string
  readonly requestId: string
  /** The kind's environment with placeholders filled in. */
  readonly kindEnvironment: Readonly<Record<string, string>>
  readonly secrets: ServiceSecrets
  readonly leases: readonly PortLease[]
  readonly script: boolean
  readonly signalingUrl: string | null
  readonly uses: UsesEnvironment
}

/**
 * What a cocoon finds in its environment: what its providers share, then the kind's own, then the request's, then Hive's,
 * which always win (design 4).
 */
export function cocoonEnvironment(input: EnvironmentInput): Readonly<Record<string, string>> {
  const { secrets, leases } = input
  const env: Record<string, string> = {
    ...input.uses.vars,
    ...input.kindEnvironment,
    ...secrets.requestEnvironment,
    COCOON_SECRET: secrets.cocoonSecret,
    COCOON_KIND: input.kind,
    COCOON_NAME: input.name,
    COCOON_REQUEST_ID: input.requestId,
    HIVE_URL_PREFIX: `/cocoons/${input.name}`,
    ...input.uses.own,
  }
  if (input.signalingUrl !== null) env['SIGNALING_SERVER_URL'] = input.signalingUrl
  if (secrets.setupToken !== null) env['COCOON_SETUP_TOKEN'] = secrets.setupToken
  const exposed = leases[0]
  if (exposed) env['PORT'] = String(exposed.port)
  if (input.script)
    for (const lease of leases) if (lease.name !== null) env[portVariable(lease.name)] = String(lease.port)
  return env
}

function portVariable(name: string): string {
  return `PORT_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`
}
