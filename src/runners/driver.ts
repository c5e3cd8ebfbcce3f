import type { RunnerConfig, RunnerType } from '../kinds/kind.ts'
import type { Usage } from './usage/usage.ts'

export { type PauseSeeing, type SurvivorTelling, seesPauses, tellsSurvivors } from './optional-capabilities.ts'

/**
 * The contract between Hive and whatever executes a kind. A driver keeps no state that matters: a fresh instance given
 * only a handle can do everything. Every call takes an AbortSignal, settles within a second of its abort, and has a
 * deadline of its own. No secret appears in a handle, a label or an error message.
 */

/** The address the proxy dials. Never assumed to be loopback. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** One port of a cocoon and where it can be reached from Hive's host. For scripts both numbers are the same. */
export interface PortBinding {
  /** The port inside the cocoon. */
  readonly port: number
  readonly host: string
  readonly hostPort: number
  readonly protocol: 'tcp'
  /** A script's named further port, else null. */
  readonly name: string | null
}

export interface LaunchSpec {
  /** The service's UUID: the identity in labels and markers. Adoption needs it to match. */
  readonly id: string
  readonly name: string
  readonly kind: string
  readonly attempt: number
  readonly requestId: string
  /** Placeholders already filled in, `{port}` included. */
  readonly config: RunnerConfig
  /** The complete injected and configured environment. Holds secrets: never logged, never in argv or labels. */
  readonly env: Readonly<Record<string, string>>
  /** The exposed port first. */
  readonly ports: readonly PortBinding[]
  /** HMAC of the config, a label for later comparison. */
  readonly configHmac: string
  /** What an earlier attempt left; a container is started again from it unless `recreate`. */
  readonly handle: RunnerHandle | null
  readonly recreate: boolean
}

/** Opaque outside its driver: small versioned JSON without secrets. */
export interface RunnerHandle {
  readonly version: 1
  readonly runner: string
  readonly data: Readonly<Record<string, string | number | null>>
}

export interface ExitStatus {
  /** Shell convention: 128 + n for signal n. */
  readonly code: number
  /** Such as `SIGTERM`, or null. */
  readonly signal: string | null
  readonly oom: boolean
}

export interface Launched {
  readonly handle: RunnerHandle
  /** null = the cocoon only dials out. */
  readonly endpoint: Endpoint | null
  readonly pid: number | null
  readonly containerId: string | null
  readonly startedAt: string
  /**
   * True when an existing object of the same id and attempt was found instead of launching. Two starts that meet launch
   * it once, but Docker may tell both of them that it was theirs.
   */
  readonly adopted: boolean
  /** What an adopted object was launched with, the exposed port first; null = the ports of the spec. */
  readonly ports: readonly PortBinding[] | null
  /** Milliseconds that making the object took, where the runner makes and starts in two calls. */
  readonly createMs: number | null
}

export type RunnerStatus =
  | {
      readonly state: 'running'
      readonly pid: number | null
      readonly startedAt: string | null
      readonly endpoint: Endpoint | null
    }
  | { readonly state: 'exited'; readonly exit: ExitStatus; readonly endedAt: string | null }
  | { readonly state: 'missing' }
  | { readonly state: 'unreachable'; readonly reason: string }

/** Something in the runner that carries this Hive's instance id. */
export interface OwnedObject {
  readonly id: string
  readonly name: string
  /** Id of the kind it was launched by. */
  readonly kind: string
  readonly attempt: number
  /** The exposed port inside; null = it has none. */
  readonly port: number | null
  readonly handle: RunnerHandle
  readonly running: boolean
  readonly createdAt: string | null
}

/** Progress of `prepare`: bytes and layers of a pull. */
export interface PrepareProgress {
  readonly phase: 'pull' | 'files'
  readonly message: string
  readonly currentBytes: number | null
  readonly totalBytes: number | null
  readonly layersDone: number | null
  readonly layersTotal: number | null
}

export interface Prepared {
  /** Ports that the image EXPOSEs (tcp), ascending. Empty for scripts. */
  readonly exposed: readonly number[]
  /** Milliseconds spent pulling; null = no pull was needed. */
  readonly pullMs: number | null
}

export interface Availability {
  readonly available: boolean
  /** Why not, in a sentence that says how to mend it; null when available. */
  readonly reason: string | null
}

/** How the cocoons of a runner reach programs on the machine that Hive runs on. */
export type HostAccess =
  /** At an address of this machine that is theirs: they are in `subnets` (CIDR). */
  | { readonly type: 'gateway'; readonly address: string; readonly subnets: readonly string[] }
  /** By a name that leads to this machine's own addresses, or (`loopback`) right to its loopback. */
  | { readonly type: 'alias'; readonly host: string; readonly loopback: boolean }
  | { readonly type: 'none'; readonly reason: string }

/** An optional capability: of runners whose cocoons have a loopback of their own. */
export interface HostReachable {
  /** @param handle  of a cocoon that is there already; null = one to come. @throws RunnerUnreachable */
  hostAccess(handle: RunnerHandle | null, signal: AbortSignal): Promise<HostAccess>
  /** Where a cocoon dials from, as a gateway address sees it; empty while it has no network. @throws RunnerUnreachable */
  addresses(handle: RunnerHandle, signal: AbortSignal): Promise<readonly string[]>
}

export function reachesHost(driver: RunnerDriver): driver is RunnerDriver & HostReachable {
  return typeof (driver as Partial<HostReachable>).hostAccess === 'function'
}

export interface KindFacts extends Availability {
  /** True if a cocoon of this kind cannot reach out of its own box by design. */
  readonly isolated: boolean
  /** `container`, or for scripts `cgroup`, `scope`, `group`. */
  readonly containment: string
}

/** The runner said no for good: bad image, no such command. Leads to `rejected`. */
export class LaunchRefused extends Error {
  /** `port` = a host port was taken; a chosen port may be tried again with another number. */
  readonly reason: 'refused' | 'port'

  constructor(message: string, options: { reason?: 'refused' | 'port'; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'LaunchRefused'
    this.reason = options.reason ?? 'refused'
  }
}

/** The runner did not answer, or not sensibly. Says nothing about any cocoon; worth trying again. */
export class RunnerUnreachable extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RunnerUnreachable'
  }
}

export interface RunnerDriver {
  readonly type: RunnerType
  /** Asks the runner whether it works. Never throws for a runner that is down: that is an answer. */
  probe(signal: AbortSignal): Promise<Availability>
  /** What GET /kinds says of one kind, from what the last probe saw; touches only the local file system. */
  describe(config: RunnerConfig): KindFacts
  /**
   * Pulls the image or makes directories. Repeatable; safe to abort and run again.
   * @throws LaunchRefused  it can never work (no such image, refused credentials, no such command).
   * @throws RunnerUnreachable  the engine does not answer.
   */
  prepare(spec: LaunchSpec, onProgress: (progress: PrepareProgress) => void, signal: AbortSignal): Promise<Prepared>
  /**
   * Launches one attempt. Called twice for one id and attempt it adopts what runs (or ran) already.
   * @throws LaunchRefused  the OS or engine refused; nothing is left behind.
   * @throws RunnerUnreachable  the reply is lost; the object may exist and a second call adopts it.
   */
  start(spec: LaunchSpec, signal: AbortSignal): Promise<Launched>
  /** Never throws for an engine that is down: answers `unreachable`. */
  inspect(handle: RunnerHandle, signal: AbortSignal): Promise<RunnerStatus>
  /**
   * Waits for the end, for adopted handles too.
   * @returns the exit, or null when the object is gone without a trace.
   * @throws RunnerUnreachable  the wait broke off; ask again later.
   */
  wait(handle: RunnerHandle, signal: AbortSignal): Promise<ExitStatus | null>
  /** TERM, KILL after `graceMs`, then verifies. Already gone = success. @throws RunnerUnreachable */
  stop(handle: RunnerHandle, graceMs: number, signal: AbortSignal): Promise<void>
  /** Removes what is left (container and its anonymous volumes, files). Idempotent. @throws RunnerUnreachable */
  remove(handle: RunnerHandle, options: { readonly volumes: boolean }, signal: AbortSignal): Promise<void>
  /** Everything that carries this instance's label or marker. @throws RunnerUnreachable */
  list(signal: AbortSignal): Promise<readonly OwnedObject[]>
  /** True if the cocoon itself (not a publishing proxy, not a stranger) listens on this port of its bindings. */
  listens(handle: RunnerHandle, binding: PortBinding, signal: AbortSignal): Promise<boolean>
  /** Releases sockets and timers of the driver; touches no cocoon. */
  close(): Promise<void>
}

/** Optional: runs a command inside a cocoon, with its environment, its user and its box. */
export interface ExecCapable {
  /** Output is dropped. @throws RunnerUnreachable, or an error that says why the command cannot run. */
  exec(handle: RunnerHandle, command: readonly string[], signal: AbortSignal): Promise<{ readonly code: number }>
}

export function canExec(driver: RunnerDriver): driver is RunnerDriver & ExecCapable {
  return 'exec' in driver && typeof driver.exec === 'function'
}

/** Optional: tells what a cocoon uses. */
export interface StatsCapable {
  /** null = it does not run. Cheap enough to be asked every few seconds. @throws RunnerUnreachable */
  stats(handle: RunnerHandle, signal: AbortSignal): Promise<Usage | null>
}

export function tellsStats(driver: RunnerDriver): driver is RunnerDriver & StatsCapable {
  return 'stats' in driver && typeof driver.stats === 'function'
}

/** One line of output, or a part of a long one. Lines joined with a line feed after each that is not `partial` are the bytes as written. */
export interface OutputPiece {
  readonly stream: 'stdout' | 'stderr'
  /** Without the line feed; at most 16 KB. */
  readonly bytes: Uint8Array
  /** True if no line feed followed: the line goes on in the next piece of its stream, or the output ended in it. */
  readonly partial: boolean
  /** When the runner got it (ISO 8601); null = it keeps no times. */
  readonly time: string | null
  /** Null = it is output. Else this stands for bytes that are lost; 0 = how many is not known. */
  readonly lost: number | null
}

export interface OutputBatch {
  readonly pieces: readonly OutputPiece[]
  /** Where reading goes on after this batch: opaque text, good for a later call, in another process too. */
  readonly position: string
}

export interface OutputQuery {
  /** What the last batch that was kept gave; null = from the beginning. */
  readonly position: string | null
  /** True: goes on as long as the cocoon writes. False: the cocoon has ended; everything that is left, then done. */
  readonly follow: boolean
}

/** Optional: what a cocoon writes. By asking for the next batch the reader says that the last one is kept. */
export interface LogCapable {
  /** Nothing is left of the cocoon = an empty answer. @throws RunnerUnreachable · The signal's reason. */
  logs(handle: RunnerHandle, query: OutputQuery, signal: AbortSignal): AsyncIterable<OutputBatch>
}

export function canLog(driver: RunnerDriver): driver is RunnerDriver & LogCapable {
  return 'logs' in driver && typeof driver.logs === 'function'
}
