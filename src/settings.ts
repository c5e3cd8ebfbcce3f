import type { KindPolicy, KindSpec } from './kinds/kind.ts'
import type { Secret } from './secret.ts'

export interface NumberRange {
  readonly first: number
  readonly last: number
}

export type SamplerName = 'always_on' | 'always_off' | 'traceidratio'

/** How and where traces go, named as the OpenTelemetry specification names it. */
export interface TracingSettings {
  /** The whole address that spans are posted to. */
  readonly endpoint: string
  /** Fields to send along, as a JSON object: they may hold the collector's key. */
  readonly headers: Secret | null
  /** Of one export with all its tries. */
  readonly timeoutMs: number
  readonly gzip: boolean
  /** How long finished spans are gathered before they are sent. */
  readonly delayMs: number
  readonly serviceName: string
  /** Further attributes of this process. */
  readonly resource: Readonly<Record<string, string>>
  /** `ratio` is for `traceidratio`; with `byParent` a trace that began elsewhere is sampled as it was there. */
  readonly sampler: { readonly name: SamplerName; readonly ratio: number; readonly byParent: boolean }
}

/** Everything Hive is told at start: read once from the environment by `config.ts`, frozen, passed as an argument. */
export interface HiveConfig {
  readonly host: string
  readonly port: number
  /** Origin of absolute URLs in answers, without a trailing slash; null = derived from the listener. */
  readonly publicUrl: string | null
  /** Lower-case host names beyond the loopback names. */
  readonly allowedHosts: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly stateDir: string
  /** `HIVE_TOKEN`; null = the token file in the state directory. */
  readonly token: Secret | null
  /** `HIVE_AUTH=off` → false; loopback listeners only. */
  readonly auth: boolean
  readonly masterKey: Secret | null
  readonly hiveId: string
  readonly hiveSecret: Secret | null
  readonly signalingUrl: string | null
  /** Generation of the signaling protocol; null = found out (`HIVE_SIGNALING_PROTOCOL=auto`). */
  readonly signalingProtocol: 1 | 2 | null
  /** Engine addresses (`unix:///…`, `tcp://…`, `http://…`) in the order to try; the first that answers is used. */
  readonly dockerHosts: readonly string[]
  readonly podmanHosts: readonly string[]
  /** Host mode: cocoons at `<name>.<cocoonDomain>`; `localhost` by default on loopback, else null = off. */
  readonly cocoonDomain: string | null
  /** The data plane's own listener; null = shared with the control plane. */
  readonly proxyPort: number | null
  readonly proxyAuth: 'public' | 'token'
  readonly maxCocoons: number
  readonly maxStarts: number
  /** Of one cocoon at the same time: requests under way, and tunnels. */
  readonly maxCocoonRequests: number
  readonly maxCocoonTunnels: number
  readonly portRange: NumberRange
  readonly uidRange: NumberRange | null
  readonly registryAuthFile: string | null
  /** Milliseconds after which ended services are removed; null = never (`HIVE_KEEP_ENDED` off). */
  readonly keepEndedMs: number | null
  readonly stopOnExit: boolean
  /** How long a cocoon waits for what it uses before it is rejected. */
  readonly usesTimeoutMs: number
  /** Where every event is posted to; null = nowhere. Never without the secret. */
  readonly webhookUrl: string | null
  readonly webhookSecret: Secret | null
  /** null = nothing is traced. */
  readonly tracing: TracingSettings | null
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  readonly kinds: readonly KindSpec[]
  readonly policy: KindPolicy
  /** Lines to log at start: unknown `HIVE_*` names, overridden variables and the like. Never a value. */
  readonly warnings: readonly string[]
  /** Parts of Hive's own environment that drivers need: PATH for look-ups, LANG, TZ, TMPDIR for scripts. */
  readonly hostEnvironment: Readonly<Record<'PATH' | 'HOME' | 'LANG' | 'TZ' | 'TMPDIR', string | null>>
}
