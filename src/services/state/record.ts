import type { Probe } from '../../health/checker.ts'
import type { RunnerConfig, RunnerType } from '../../kinds/kind.ts'
import type { Endpoint, PortBinding, RunnerHandle } from '../../runners/driver.ts'
import type { StatsSample } from '../../stats/sample.ts'

/** The service: the durable record of one cocoon. The wire shape, the private row around it, and the legal states. */

/** Rank grows along every legal path of one attempt; `(attempt, rank)` never goes back. */
export const STATE_RANK = {
  requested: 0,
  preparing: 10,
  starting: 20,
  running: 30,
  stopping: 40,
  stopped: 50,
  rejected: 60,
  failed: 70,
  lost: 80,
  removed: 90,
} as const

export type ServiceState = keyof typeof STATE_RANK
export const SERVICE_STATES = Object.freeze(Object.keys(STATE_RANK)) as readonly ServiceState[]

/** Legal next states within one attempt. A new attempt (`requested`) is reached from {@link ENDED_STATES} only. */
export const NEXT_STATES: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  requested: ['preparing', 'stopping', 'rejected'],
  preparing: ['starting', 'stopping', 'rejected'],
  starting: ['running', 'stopping', 'rejected', 'failed', 'lost'],
  running: ['stopping', 'stopped', 'failed', 'lost'],
  stopping: ['stopped'],
  stopped: ['removed'],
  rejected: ['removed'],
  failed: ['removed'],
  lost: ['removed'],
  removed: [],
}

export const ENDED_STATES: readonly ServiceState[] = ['stopped', 'rejected', 'failed', 'lost']

export function isEnded(state: ServiceState): boolean {
  return ENDED_STATES.includes(state)
}

/** Counts against HIVE_MAX_COCOONS: everything from requested to stopping. */
export function isActive(state: ServiceState): boolean {
  return STATE_RANK[state] <= STATE_RANK.stopping
}

export type Desired = 'running' | 'stopped' | 'removed'
export type Health = 'none' | 'starting' | 'passing' | 'failing'
export type IntentBy = 'api' | 'signaling' | 'idle' | 'ttl' | 'wake' | 'restart' | 'shutdown' | 'uses'
export type ExitReason =
  | 'exited'
  | 'signal'
  | 'oom'
  | 'stopped'
  | 'idle'
  | 'ttl'
  | 'unhealthy'
  | 'not_ready'
  | 'crash_loop'
  | 'lost'
  | 'runner_unavailable'

export interface Exit {
  /** Always a number, shell convention: 128 + n for signal n. */
  readonly code: number
  readonly signal: string | null
  readonly reason: ExitReason
  readonly oom: boolean
}

/** `code` is stable and meant for programs; `detail` is a sentence for people and holds no secret. */
export interface ServiceError {
  readonly code: string
  readonly detail: string
}

export interface ServicePort {
  readonly port: number
  readonly host: string
  readonly host_port: number
  readonly protocol: 'tcp'
}

/** One exposed name that a cocoon uses, and where it has it from; null = it has it from nowhere yet. */
export interface ServiceUse {
  readonly name: string
  /** The service that exposes it. */
  readonly service: string | null
  readonly service_id: string | null
  /** Where the cocoon itself reaches it. */
  readonly host: string | null
  readonly port: number | null
}

/** Milliseconds spent per phase of the current attempt; null = not reached or not needed. */
export interface Timings {
  readonly queued_ms: number | null
  readonly pull_ms: number | null
  readonly create_ms: number | null
  readonly start_ms: number | null
  readonly ready_ms: number | null
}

/** How far a preparation is: kept in memory only, null outside `preparing`. */
export interface ServiceProgress {
  readonly phase: 'pull' | 'files'
  readonly message: string
  readonly current_bytes: number | null
  readonly total_bytes: number | null
  readonly layers_done: number | null
  readonly layers_total: number | null
}

/** The record as it goes over the wire (JSON, snake_case, times ISO 8601 UTC). */
export interface ServiceRecord {
  readonly id: string
  readonly fqn: string
  readonly name: string
  readonly kind: string
  readonly runner: RunnerType
  readonly state: ServiceState
  readonly desired: Desired
  readonly health: Health
  readonly ready: boolean
  readonly attempt: number
  readonly restarts: number
  readonly pid: number | null
  readonly container_id: string | null
  readonly image: string | null
  readonly url: string | null
  readonly origin_url: string | null
  readonly ports: readonly ServicePort[]
  readonly labels: Readonly<Record<string, string>>
  readonly request_id: string
  readonly created_at: string
  readonly started_at: string | null
  readonly ready_at: string | null
  readonly ended_at: string | null
  readonly expires_at: string | null
  readonly idle_at: string | null
  readonly observed_at: string | null
  readonly exit: Exit | null
  readonly error: ServiceError | null
  readonly next_attempt_at: string | null
  readonly progress: ServiceProgress | null
  readonly timings: Timings
  /** Only if its kind uses something. */
  readonly uses?: readonly ServiceUse[]
  readonly revision: number
}

/** A port held for a service: durable before it is used, quarantined for 60 s after `releasedAt`. */
export interface PortLease extends PortBinding {
  /** The operator chose the number; it is never exchanged for another. */
  readonly fixed: boolean
  readonly releasedAt: string | null
}

/** What was last asked for, durable before anything is done about it. */
export interface Intent {
  readonly by: IntentBy
  readonly reason: string | null
  /** A removal takes named volumes with it. */
  readonly volumes: boolean
  /** The next launch makes a new container instead of starting the old one again. */
  readonly recreate: boolean
}

/** What automatic restarts have cost so far; durable, so that a restart of Hive forgives nothing. */
export interface RestartCount {
  /** When each restart was charged, oldest first; those older than the window are dropped. */
  readonly charged: readonly string[]
  /** Consecutive back-offs, which double the next one. */
  readonly waits: number
  /** The attempt whose predecessor's charge was taken back, so that it is taken back once. */
  readonly forgiven: number
}

/** Proofs of the secrets of `expose` and `uses`: HMACs, so that they can be compared and not read. null = no secret. */
export interface SharedProofs {
  readonly expose: string | null
  /** By used name. */
  readonly uses: Readonly<Record<string, string | null>>
}

/** What Hive alone knows of a service. Everything but `sealed` is plain JSON without secrets. */
export interface ServiceRow {
  readonly record: ServiceRecord
  readonly targetAttempt: number
  readonly intent: Intent
  /** When this attempt was asked for; phases are measured from it. */
  readonly attemptAt: string
  /** When it was removed; the tombstone stays for 24 h. */
  readonly removedAt: string | null
  /** True from just before the first launch until the object is removed: something may exist even without a handle. */
  readonly mayExist: boolean
  readonly handle: RunnerHandle | null
  /** The attempt that `handle` was launched or started again for; 0 = none yet. */
  readonly launchedAttempt: number
  readonly endpoint: Endpoint | null
  readonly leases: readonly PortLease[]
  /** How often the current attempt was moved to other ports. */
  readonly portMoves: number
  /** The resolved config it was born with, environment values, shared variables and secrets taken out (see `sealed`). */
  readonly config: RunnerConfig
  /** True if a declared port must accept before `running`; false = started is running. */
  readonly gated: boolean
  /** HMAC of the canonical spawn body, for request_id reuse. */
  readonly requestHmac: string
  readonly configHmac: string
  readonly restart: RestartCount
  /** The boot of the host in which the cocoon was launched or last seen running; null = not known. */
  readonly boot: string | null
  /** Until when somebody has asked that it be not stopped as idle; null = nobody. */
  readonly leaseUntil: string | null
  /** Absent = it neither exposes nor uses anything. */
  readonly proofs?: SharedProofs
  /** What the last attempt that ended used when it was last measured; a row of an earlier version does not say. */
  readonly lastStats?: StatsSample | null
  /** What its probes said last, oldest first, when that attempt ended; absent = there were none. */
  readonly lastProbes?: readonly Probe[]
  /** AES-256-GCM of `{environment, vars, setup_token, cocoon_secret}`; null once removed. */
  readonly sealed: Uint8Array | null
}
