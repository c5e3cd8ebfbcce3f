import type { ExposeSpec, KindSpec } from '../kinds/kind.ts'
import type { ServiceRow } from '../services/state/record.ts'
import { addressOf, exposedName } from './providers.ts'

/** What GET /exposed says of one name. Never a secret, never a value of `vars`. */
export interface ExposedName {
  readonly name: string
  /** The kinds that expose it now; empty if only cocoons of an earlier configuration do. */
  readonly kinds: readonly string[]
  /** Whether whoever uses it must give a secret. */
  readonly secret: boolean
  /** Names of the variables it gives. */
  readonly vars: readonly string[]
  readonly providers: readonly Provider[]
  readonly consumers: readonly Consumer[]
}

interface Member {
  readonly service: string
  readonly id: string
  readonly kind: string
  readonly state: string
}

interface Provider extends Member {
  /** True if it can be used right now. */
  readonly healthy: boolean
  /** On this machine. */
  readonly address: { readonly host: string; readonly port: number } | null
}

interface Consumer extends Member {
  /** Whom it has it from; null = it waits. */
  readonly provider: string | null
  /** Where it reaches that: its own relay, if it is a container. */
  readonly address: { readonly host: string; readonly port: number } | null
}

export interface Parties {
  readonly kinds: Iterable<KindSpec>
  readonly exposers: Iterable<ServiceRow>
  readonly consumers: Iterable<ServiceRow>
}

/** Every name that a kind or a cocoon exposes, or that a cocoon uses; by name, members oldest first. */
export function listExposed({ kinds, exposers, consumers }: Parties): readonly ExposedName[] {
  const names = new Map<string, Entry>()
  const entry = (name: string) => {
    const known = names.get(name) ?? { kinds: [], providers: [], consumers: [] }
    names.set(name, known)
    return known
  }
  for (const kind of kinds) if (kind.config.expose) entry(kind.config.expose.name).kinds.push(kind)
  for (const row of byAge(exposers)) entry(exposedName(row) ?? '').providers.push(row)
  for (const row of byAge(consumers)) for (const { name } of row.record.uses ?? []) entry(name).consumers.push(row)
  return [...names].sort(([left], [right]) => (left < right ? -1 : 1)).map(([name, one]) => present(name, one))
}

interface Entry {
  readonly kinds: KindSpec[]
  readonly providers: ServiceRow[]
  readonly consumers: ServiceRow[]
}

function present(name: string, { kinds, providers, consumers }: Entry): ExposedName {
  const specs = kinds.flatMap(({ config }) => (config.expose ? [config.expose] : []))
  return {
    name,
    kinds: kinds.map(({ id }) => id),
    secret: specs.some(({ secret }) => secret !== null) || providers.some(({ proofs }) => !!proofs?.expose),
    vars: varNames(specs),
    providers: providers.map((row) => {
      const address = addressOf(row)
      return { ...memberOf(row), healthy: address !== null, address }
    }),
    consumers: consumers.map((row) => {
      const use = row.record.uses?.find((one) => one.name === name)
      const { service = null, host, port } = use ?? {}
      const hasAddress = typeof host === 'string' && typeof port === 'number'
      return { ...memberOf(row), provider: service, address: hasAddress ? { host, port } : null }
    }),
  }
}

function varNames(specs: readonly ExposeSpec[]): readonly string[] {
  return [...new Set(specs.flatMap(({ vars }) => Object.keys(vars)))].sort()
}

function memberOf({ record }: ServiceRow): Member {
  return { service: record.name, id: record.id, kind: record.kind, state: record.state }
}

function byAge(rows: Iterable<ServiceRow>): readonly ServiceRow[] {
  return [...rows].sort(({ record: left }, { record: right }) =>
    `${left.created_at} ${left.id}` < `${right.created_at} ${right.id}` ? -1 : 1,
  )
}
