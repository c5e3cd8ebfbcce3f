import type { Logger } from 'pino'
import type { Exposure } from '../exposure/exposure.ts'
import type { RunnerConfig, RunnerType } from '../kinds/kind.ts'
import type { PrepareProgress, RunnerDriver, RunnerHandle } from '../runners/driver.ts'
import type { StatsSample } from '../stats/sample.ts'
import type { PortPool } from './actions/ports.ts'
import type { StartSlots } from './actions/start-slots.ts'
import type { Fact } from './state/fact.ts'
import type { ServiceRow } from './state/record.ts'
import type { IntentRequest, Step } from './state/step.ts'
import type { ServiceTable } from './table/table.ts'
import type { Vault } from './table/vault.ts'
import type { ServiceView } from './view.ts'

export interface Clock {
  /** The time of day, for what stands in records. It may be set, by any amount, at any moment. */
  now(): Date
  /** Milliseconds that only pass, for what is waited for; absent = those of the process. */
  ticks?(): number
}

export function ticksOf(clock: Clock): number {
  return clock.ticks?.() ?? performance.now()
}

export interface PlaceholderValues {
  readonly kind: string
  readonly service_name: string
  readonly request_id: string
  readonly port: number | null
}

/** What every service shares. Drivers come by type only, the clock and ids from outside. */
export interface SupervisorParts {
  readonly table: ServiceTable
  readonly view: ServiceView
  readonly vault: Vault
  readonly ports: PortPool
  readonly slots: StartSlots
  readonly drivers: ReadonlyMap<RunnerType, RunnerDriver>
  readonly clock: Clock
  readonly log: Logger
  readonly signalingUrl: string | null
  /** The same as a runner's cocoons reach it, asked before each launch; absent = as it is. */
  readonly reachSignaling?: (
    driver: RunnerDriver,
    handle: RunnerHandle | null,
    signal: AbortSignal,
  ) => Promise<string | null>
  /** Who provides what to whom; absent = nobody does. */
  readonly exposure?: Exposure
  /** How long a cocoon waits for what it uses; absent = 10 minutes. */
  readonly usesTimeoutMs?: number
  /** Asks for an idle-stopped service to be started again, because another one waits for it. */
  readonly wakeService?: (id: string) => Promise<void>
  /** Which boot of the host this is; null = it cannot be told. */
  readonly bootId: string | null
  /** Fills `{kind} {service_name} {request_id} {port}` into everything of a config that may hold them. */
  readonly fillPlaceholders: (config: RunnerConfig, values: PlaceholderValues) => RunnerConfig
  readonly usesPort: (config: RunnerConfig) => boolean
  /** Takes what an ended attempt wrote into its log, before anything may remove it. Settles in time; never throws. */
  readonly drainLog: (row: ServiceRow) => Promise<void>
  /** What an attempt used when it was last measured; null = it never was. */
  readonly lastStats: (id: string, attempt: number) => StatsSample | null
}

/** One service as its actions see it. */
export interface ActionContext {
  readonly parts: SupervisorParts
  readonly driver: RunnerDriver
  readonly log: Logger
  /** The newest durable row. */
  row(): ServiceRow
  /** Reports a fact about an attempt; durable when it resolves. */
  observe(attempt: number, fact: Fact): Promise<Step>
  /** Asks for something in the service's own name, such as its restart. */
  intend(request: IntentRequest): Promise<Step>
  progress(progress: PrepareProgress): void
}
