import { usesPrefix } from '../kinds/exposure.ts'
import type { UseSpec } from '../kinds/kind.ts'
import { fillPlaceholders } from '../kinds/placeholders.ts'
import type { RelayTarget } from '../relay/relay.ts'
import type { ServiceRecord } from '../services/state/record.ts'

export interface Provided {
  readonly use: UseSpec
  /** Where the consumer reaches it. */
  readonly address: RelayTarget
  /** Of the provider. */
  readonly record: ServiceRecord
  readonly vars: Readonly<Record<string, string>>
}

/** What of a consumer's environment comes from those it uses. */
export interface UsesEnvironment {
  /** The provider's `vars`, filled in: the consumer's own environment wins over them. */
  readonly vars: Readonly<Record<string, string>>
  /** `HIVE_USES_<NAME>_URL`, `_HOST` and `_PORT`: nothing wins over them. */
  readonly own: Readonly<Record<string, string>>
}

/** In the order of `uses`: where two bring the same name, the later one has it. */
export function usesEnvironment(all: readonly Provided[]): UsesEnvironment {
  return {
    vars: Object.assign({}, ...all.map(filledIn)),
    own: Object.assign({}, ...all.map(addressVariables)),
  }
}

function filledIn({ address, record, vars }: Provided): Record<string, string> {
  const { kind, name: service_name, request_id } = record
  const values = { kind, service_name, request_id, host: address.host, port: String(address.port) }
  return Object.fromEntries(Object.entries(vars).map(([name, text]) => [name, fillPlaceholders(text, values)]))
}

function addressVariables({ use, address: { host, port } }: Provided): Record<string, string> {
  const prefix = usesPrefix(use)
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  return { [`${prefix}URL`]: url, [`${prefix}HOST`]: host, [`${prefix}PORT`]: String(port) }
}
