import { DEFAULT_PIDS } from '../../kinds/container-config.ts'
import type { ContainerConfig, Resources, VolumeSpec } from '../../kinds/kind.ts'
import type { LaunchSpec, PortBinding } from '../driver.ts'
import type { EngineFacts } from './engine-facts.ts'
import type { HardLimits } from './host-limits.ts'
import { labelsOf } from './labels.ts'

/** The body of `POST /containers/create`. */
export interface CreateBody {
  readonly [field: string]: unknown
  readonly Image: string
  readonly Env: readonly string[]
  readonly HostConfig: Readonly<Record<string, unknown>>
}

export interface CreateContext {
  readonly instanceId: string
  readonly engine: Pick<EngineFacts, 'flavour' | 'rootless' | 'limits'>
  readonly hardLimits: HardLimits
  /** `security.seccomp` as the engine takes it: a path, the profile's JSON, or `unconfined`. */
  readonly seccomp: string | null
}

/** What a root Podman gives a container that says nothing: more than a host without CAP_SYS_RESOURCE can set. */
const PODMAN_LIMIT = 1_048_576

/** The container of a service: everything the kind says, and nothing that opens a way to the host (F63). */
export function createOptions(spec: LaunchSpec, config: ContainerConfig, context: CreateContext): CreateBody {
  return {
    Image: config.image,
    ...(config.command === null ? {} : { Entrypoint: config.command }),
    ...(config.args === null ? {} : { Cmd: config.args }),
    ...(config.user === null ? {} : { User: config.user }),
    ...(config.workingDir === null ? {} : { WorkingDir: config.workingDir }),
    // The only place of a value: labels, names and arguments can be seen by others.
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(spec, context.instanceId),
    ExposedPorts: Object.fromEntries(spec.ports.map(({ port }) => [`${port}/tcp`, {}])),
    HostConfig: hostConfig(spec, config, context),
  }
}

/** `hive-<first 8 of the instance>-<service>`, unless the kind names it; `containerName` is filled in already. */
export function containerName(spec: LaunchSpec, config: ContainerConfig, instanceId: string): string {
  return config.containerName ?? `hive-${instanceId.slice(0, 8)}-${spec.name}`
}

function hostConfig(spec: LaunchSpec, config: ContainerConfig, context: CreateContext) {
  const { security } = config
  return {
    Privileged: false,
    CapDrop: security.capDrop.includes('ALL') ? security.capDrop : ['ALL', ...security.capDrop],
    CapAdd: security.capAdd,
    SecurityOpt: securityOptions(config, context.seccomp),
    ReadonlyRootfs: security.readOnly,
    ...(security.userns === null ? {} : { UsernsMode: security.userns }),
    // An init reaps what the cocoon leaves (F28) and passes TERM on, which a program as pid 1 ignores.
    Init: true,
    // Restarts are Hive's alone.
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    LogConfig: logConfig(context.engine.flavour),
    PortBindings: portBindings(spec.ports),
    Mounts: config.volumes.map(mount),
    ...limits(config.resources, context),
    ...deviceRequests(config.gpus),
  }
}

function securityOptions(config: ContainerConfig, seccomp: string | null): readonly string[] {
  const { allowSudo, apparmor, selinux } = config.security
  return [
    ...(allowSudo ? [] : ['no-new-privileges']),
    ...(seccomp === null ? [] : [`seccomp=${seccomp}`]),
    ...(apparmor === null ? [] : [`apparmor=${apparmor}`]),
    ...(selinux === null ? [] : [`label=${selinux}`]),
  ]
}

/** Podman keeps one file and knows no `max-file`; `json-file` is its alias of `k8s-file`. */
function logConfig(flavour: EngineFacts['flavour']) {
  const size = { 'max-size': '10m' }
  return { Type: 'json-file', Config: flavour === 'podman' ? size : { ...size, 'max-file': '3' } }
}

/** On the loopback address of the binding only: Hive's proxy is the way in (K13). */
function portBindings(ports: readonly PortBinding[]) {
  return Object.fromEntries(
    ports.map(({ port, host, hostPort }) => [`${port}/tcp`, [{ HostIp: loopback(host), HostPort: String(hostPort) }]]),
  )
}

function loopback(host: string): string {
  return host.startsWith('127.') ? host : '127.0.0.1'
}

/** A bind mount whose source is missing fails, where the older `Binds` would make a directory as root. */
function mount({ kind, source, target, readOnly }: VolumeSpec) {
  return { Type: kind === 'host' ? 'bind' : 'volume', Source: source, Target: target, ReadOnly: readOnly }
}

function limits(resources: Resources, context: CreateContext) {
  const ulimits = ulimitsOf(resources, context)
  return {
    ...cgroupLimits(resources, context.engine.limits),
    ...(ulimits.length === 0 ? {} : { Ulimits: ulimits }),
  }
}

function cgroupLimits({ memoryBytes, cpus, pids }: Resources, kept: EngineFacts['limits']) {
  return {
    ...(kept.pids ? { PidsLimit: pids ?? DEFAULT_PIDS } : {}),
    // Without a swap limit of its own a container may use as much swap again.
    ...(memoryBytes === null || !kept.memory ? {} : { Memory: memoryBytes, MemorySwap: memoryBytes }),
    ...(cpus === null || !kept.cpus ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
  }
}

function ulimitsOf(resources: Resources, { engine, hardLimits }: CreateContext) {
  const needsLimits = engine.flavour === 'podman' && !engine.rootless
  const names = ['nofile', 'nproc'] as const
  return names.flatMap((name) => {
    const hard = hardLimits[name]
    const capped = needsLimits && hard !== null && hard < PODMAN_LIMIT ? hard : null
    const limit = resources[name] ?? capped
    return limit === null ? [] : [{ Name: name, Soft: limit, Hard: limit }]
  })
}

/** As `docker run --gpus` sends it; -1 = all. */
function deviceRequests(gpus: ContainerConfig['gpus']) {
  if (gpus === null) return {}
  return { DeviceRequests: [{ Driver: '', Count: gpus === 'all' ? -1 : gpus, Capabilities: [['gpu']] }] }
}
