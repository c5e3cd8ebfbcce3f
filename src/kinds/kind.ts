import type { Secret } from '../secret.ts'

/** The recipe of a cocoon: what COCOON_KINDS says, parsed. Types only, shared by kinds, runners and services. */

export const RUNNER_TYPES = ['docker', 'podman', 'script'] as const
export type RunnerType = (typeof RUNNER_TYPES)[number]

export interface KindSpec {
  readonly id: string
  readonly runner_type: RunnerType
  /** As the operator wrote it; environment values included, so never send it out without `redactKind`. */
  readonly runner_config: Readonly<Record<string, unknown>>
  /** The docker or podman image, else `""`. */
  readonly image: string
  readonly config: RunnerConfig
}

export type RunnerConfig = ContainerConfig | ScriptConfig

export interface Resources {
  readonly memoryBytes: number | null
  readonly cpus: number | null
  readonly pids: number | null
  readonly nofile: number | null
  readonly nproc: number | null
}

export interface HealthCheck {
  readonly type: 'http' | 'tcp' | 'cmd'
  /** Of an http check. */
  readonly path: string
  /** A port inside the cocoon; null = the exposed one. */
  readonly port: number | null
  /** Of a cmd check; exit 0 = healthy. */
  readonly command: readonly string[]
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Consecutive failures that make it failing. */
  readonly retries: number
  /** Failures this long after the start do not count. */
  readonly startPeriodMs: number
}

export interface RestartPolicy {
  /** `unless-stopped` is kept as `always`: a user stop sticks for both. */
  readonly policy: 'never' | 'on-failure' | 'always'
  /** Restarts within the window before it is a crash loop. */
  readonly maxAttempts: number
  readonly windowMs: number
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
}

/** What a cocoon gives to others, and under which name. */
export interface ExposeSpec {
  readonly name: string
  /** Whoever uses it must give the same; null = whoever uses it gives none. */
  readonly secret: Secret | null
  /** Variables for those who use it: templates with `{host}` and `{port}` of its address, and the usual placeholders. */
  readonly vars: Readonly<Record<string, string>>
}

/** What a cocoon needs of another one before it can start. */
export interface UseSpec {
  readonly name: string
  readonly secret: Secret | null
  /** Stands for the name in `HIVE_USES_<NAME>_URL`; null = the name itself. */
  readonly as: string | null
}

interface CommonConfig {
  readonly environment: Readonly<Record<string, string>>
  /** Globs (`*`) of names that a spawn request may set. */
  readonly acceptEnvironment: readonly string[]
  /** The exposed port as declared; null = not declared. A script's real port is always chosen by Hive. */
  readonly port: number | null
  /** `uid[:gid]`, a name, `auto`, or null = the runner's default. */
  readonly user: string | null
  readonly resources: Resources
  readonly readyTimeoutMs: number
  readonly stopGraceMs: number
  /** All must pass. Empty = the port alone decides. */
  readonly healthChecks: readonly HealthCheck[]
  readonly restart: RestartPolicy
  /** Removed this long after its birth; null = never. */
  readonly ttlMs: number | null
  /** Stopped when nothing used it for this long; null = never. */
  readonly idleTimeoutMs: number | null
  /** The next proxied request starts an idle-stopped cocoon again. */
  readonly wake: boolean
  readonly allowOrigins: readonly string[]
  readonly stripPrefix: boolean
  readonly expose: ExposeSpec | null
  readonly uses: readonly UseSpec[]
}

export interface PortSpec {
  readonly port: number
  /** A fixed host port, or null = one chosen from HIVE_PORT_RANGE. */
  readonly hostPort: number | null
}

export interface VolumeSpec {
  readonly kind: 'volume' | 'host'
  /** Volume name (placeholders allowed) or absolute host path. */
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

export interface ContainerSecurity {
  readonly capAdd: readonly string[]
  readonly capDrop: readonly string[]
  readonly readOnly: boolean
  readonly seccomp: string | null
  readonly apparmor: string | null
  readonly selinux: string | null
  readonly userns: string | null
  readonly allowSudo: boolean
}

export interface ContainerConfig extends CommonConfig {
  readonly runner: 'docker' | 'podman'
  readonly image: string
  /** Entrypoint override; null = the image's own. */
  readonly command: readonly string[] | null
  /** Command override (arguments); null = the image's own. */
  readonly args: readonly string[] | null
  /** A custom template holding `{service_name}` or `{request_id}`; null = `hive-<instance>-<service_name>`. */
  readonly containerName: string | null
  readonly workingDir: string | null
  readonly volumes: readonly VolumeSpec[]
  readonly ports: readonly PortSpec[]
  readonly security: ContainerSecurity
  readonly gpus: number | 'all' | null
  readonly pull: 'missing' | 'always' | 'never'
}

export interface ScriptConfig extends CommonConfig {
  readonly runner: 'script'
  /** One token, never split, never a shell. */
  readonly command: string
  readonly args: readonly string[]
  /** null = `<state>/work/<id>`, removed with the service. */
  readonly workingDir: string | null
  /** Names of further ports, injected as `PORT_<NAME>`. */
  readonly portNames: readonly string[]
  readonly sandbox: 'none' | 'bubblewrap' | 'firejail'
  /** Hexadecimal SHA-256 that the executable must have, or null. */
  readonly sha256: string | null
}

/** One thing wrong with COCOON_KINDS: where, what, and what would be right. Never holds a secret value. */
export interface KindProblem {
  /** 1-based number of the entry. */
  readonly entry: number
  readonly id: string | null
  readonly field: string | null
  readonly wrong: string
  readonly right: string
}

/** What the operator allows beyond the safe defaults (`HIVE_ALLOW_*`). */
export interface KindPolicy {
  readonly allowHostPaths: readonly string[]
  /** `HIVE_ALLOW_<WHAT>` (lower case, such as `privileged`) → kind ids it names. */
  readonly allow: ReadonlyMap<string, ReadonlySet<string>>
}
