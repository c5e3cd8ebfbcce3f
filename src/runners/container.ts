import type { ContainerConfig, RunnerConfig } from '../kinds/kind.ts'
import { Circuit } from './container/circuit.ts'
import { dialer } from './container/dial.ts'
import { MonitoredExits } from './container/early-exits.ts'
import { answered, removeAll, stopContainer, waitForExit } from './container/end.ts'
import type { Engine } from './container/engine.ts'
import { parseEngineAddress } from './container/engine-address.ts'
import { EngineAgent } from './container/engine-agent.ts'
import { type Candidate, EnginePool } from './container/engine-pool.ts'
import { ContainerExec } from './container/exec.ts'
import { readHandle } from './container/handle.ts'
import { hostAccess } from './container/host-access.ts'
import { ownHardLimits } from './container/host-limits.ts'
import { HostProcesses } from './container/host-processes.ts'
import { ImageStore } from './container/image-store.ts'
import { limitFault } from './container/kept-limits.ts'
import { LABEL } from './container/labels.ts'
import { launch } from './container/launch.ts'
import { ListenProbe } from './container/listen-probe.ts'
import { readContainerLogs } from './container/logs.ts'
import { ownedObject, statusOf } from './container/observe.ts'
import { pausedAmong } from './container/paused.ts'
import type { RunCredentialHelper } from './container/registry-auth.ts'

import { EngineRefusal } from './container/request.ts'
import { TIMEOUTS, type Timeouts } from './container/timeouts.ts'
import { ContainerUsage } from './container/usage.ts'

import {
  type ExecCapable,
  type HostAccess,
  type HostReachable,
  type LaunchSpec,
  type LogCapable,
  type OutputQuery,
  type RunnerDriver,
  type RunnerHandle,
  type RunnerStatus,
  RunnerUnreachable,
  type StatsCapable,
} from './driver.ts'
import type { PauseSeeing } from './optional-capabilities.ts'

/** Docker and Podman: one driver, since Podman serves Docker's API. What differs stands in `container/`. */

export interface ContainerDriverOptions {
  readonly type: 'docker' | 'podman'
  /** Engine addresses in the order to try, such as `unix:///run/podman/podman.sock`. */
  readonly hosts: readonly string[]
  readonly instanceId: string
  /** The only file to look for registry credentials; null = the usual places of docker and podman. */
  readonly registryAuthFile: string | null
  /** Home directory whose auth files are read. */
  readonly home: string | null
  readonly onWarning?: (message: string) => void
  readonly runCredentialHelper?: RunCredentialHelper
  readonly timeouts?: Partial<Timeouts>
}

type AllCapable = RunnerDriver & ExecCapable & StatsCapable & HostReachable & LogCapable

/** Makes the driver. Nothing is asked of an engine yet: call `probe`. @throws Error  an address cannot be read. */
export function createContainerDriver(options: ContainerDriverOptions): RunnerDriver & ExecCapable & StatsCapable {
  return new ContainerDriver(options)
}

class ContainerDriver implements AllCapable, PauseSeeing {
  readonly type: 'docker' | 'podman'
  readonly #instanceId: string
  readonly #warn: (message: string) => void
  readonly #agents: readonly EngineAgent[]
  readonly #pool: EnginePool
  readonly #images: ImageStore
  readonly #listenProbe: ListenProbe
  readonly #hosts = new HostProcesses()
  readonly #exec = new ContainerExec(this.#hosts)
  readonly #usage = new ContainerUsage(this.#hosts)
  readonly #exits = new MonitoredExits()

  constructor(options: ContainerDriverOptions) {
    const timeouts = { ...TIMEOUTS, ...options.timeouts }
    this.type = options.type
    this.#instanceId = options.instanceId
    this.#warn = options.onWarning ?? (() => {})
    const lines = options.hosts.map(openLine)
    this.#agents = lines.map(({ agent }) => agent)
    this.#pool = new EnginePool(options.type, lines, timeouts)
    this.#images = new ImageStore({ ...options, onWarning: this.#warn }, timeouts)
    this.#listenProbe = new ListenProbe(this.#warn)
  }

  probe(signal: AbortSignal) {
    return this.#pool.probe(signal)
  }

  describe(config: RunnerConfig) {
    const { available, reason } = this.#pool.availability
    const engine = this.#pool.chosen
    const fault = engine && config.runner !== 'script' ? limitFault(config.resources, engine.facts.limits) : null
    const state = available && fault !== null ? { available: false, reason: fault } : { available, reason }
    return { ...state, isolated: true, containment: 'container' }
  }

  async prepare(spec: LaunchSpec, onProgress: Parameters<RunnerDriver['prepare']>[1], signal: AbortSignal) {
    const config = containerConfig(spec)
    const engine = await this.#engineFor(spec, signal)
    if (spec.handle !== null && !spec.recreate) {
      const container = await engine.inspect(readHandle(spec.handle).containerId, signal)
      // It is started as it is; what its image has become is of no matter.
      const image = container === null ? null : await engine.image(container.image, signal)
      if (container !== null) return { exposed: image?.exposed ?? [], pullMs: null }
    }
    return this.#images.provide(engine, config, onProgress, signal)
  }

  async start(spec: LaunchSpec, signal: AbortSignal) {
    const engine = await this.#engineFor(spec, signal)
    const config = containerConfig(spec)
    const room = { engine, runner: this.type, instanceId: this.#instanceId, hardLimits: ownHardLimits() }
    return launch(room, spec, config, signal)
  }

  async inspect(handle: RunnerHandle, signal: AbortSignal): Promise<RunnerStatus> {
    const { engine: id, containerId } = readHandle(handle)
    try {
      const engine = await this.#pool.withId(id, signal)
      const container = await engine.inspect(containerId, signal)
      return container === null ? { state: 'missing' } : statusOf(container)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error instanceof RunnerUnreachable || error instanceof EngineRefusal)
        return { state: 'unreachable', reason: error.message }
      throw error
    }
  }

  async wait(handle: RunnerHandle, signal: AbortSignal) {
    const { engine: id, containerId } = readHandle(handle)
    const engine = await this.#pool.withId(id, signal)
    const hang = this.#pool.hangOf(engine)
    return waitForExit(engine, containerId, hang === null ? signal : AbortSignal.any([signal, hang]), this.#exits)
  }

  async stop(handle: RunnerHandle, graceMs: number, signal: AbortSignal) {
    const { engine: id, containerId } = readHandle(handle)
    await stopContainer(await this.#pool.withId(id, signal), containerId, graceMs, signal)
  }

  async remove(handle: RunnerHandle, options: { readonly volumes: boolean }, signal: AbortSignal) {
    const container = readHandle(handle)
    const engine = await this.#pool.withId(container.engine, signal)
    const kept = await removeAll(engine, container, options.volumes, signal)
    if (kept.length > 0) this.#warn(`${container.name}: volumes that others still use are kept: ${kept.join(', ')}`)
  }

  async list(signal: AbortSignal) {
    const label = `${LABEL.instance}=${this.#instanceId}`
    return this.#pool.fromAll(async (engine) => {
      const entries = await answered(() => engine.list(label, signal))
      return entries.flatMap((entry) => ownedObject(entry, this.type, engine.facts.id) ?? [])
    }, signal)
  }

  paused(handles: ReadonlyMap<string, RunnerHandle>, signal: AbortSignal) {
    return pausedAmong(this.#pool, this.#instanceId, handles, signal)
  }

  async listens(handle: RunnerHandle, binding: Parameters<RunnerDriver['listens']>[1], signal: AbortSignal) {
    const { engine: id, containerId } = readHandle(handle)
    try {
      return await this.#listenProbe.listens(() => this.#pool.withId(id, signal), containerId, binding, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      // Not knowing is not listening; the caller asks again.
      if (error instanceof RunnerUnreachable || error instanceof EngineRefusal) return false
      throw error
    }
  }

  async exec(handle: RunnerHandle, command: readonly string[], signal: AbortSignal) {
    const { engine: id, containerId } = readHandle(handle)
    return this.#exec.run(await this.#pool.withId(id, signal), containerId, { command, signal })
  }

  async stats(handle: RunnerHandle, signal: AbortSignal) {
    const { engine: id, containerId } = readHandle(handle)
    return this.#usage.of(await this.#pool.withId(id, signal), containerId, signal)
  }

  async hostAccess(handle: RunnerHandle | null, signal: AbortSignal): Promise<HostAccess> {
    return hostAccess(await this.#engineFor({ handle }, signal), signal)
  }

  async addresses(handle: RunnerHandle, signal: AbortSignal) {
    const { engine, containerId } = readHandle(handle)
    return (await (await this.#pool.withId(engine, signal)).inspect(containerId, signal))?.addresses ?? []
  }

  async *logs(handle: RunnerHandle, query: OutputQuery, signal: AbortSignal) {
    const { engine: id, containerId } = readHandle(handle)
    yield* readContainerLogs(await this.#pool.withId(id, signal), containerId, query, signal)
  }

  async close() {
    this.#images.close()
    this.#exits.close()
    for (const agent of this.#agents) agent.destroy()
  }

  #engineFor({ handle }: Pick<LaunchSpec, 'handle'>, signal: AbortSignal): Promise<Engine> {
    signal.throwIfAborted()
    return handle === null ? this.#pool.forNew(signal) : this.#pool.withId(readHandle(handle).engine, signal)
  }
}

function containerConfig({ config }: LaunchSpec): ContainerConfig {
  if (config.runner === 'script') throw new TypeError('a container driver was given a script')
  return config
}

function openLine(text: string): Candidate & { readonly agent: EngineAgent } {
  const address = parseEngineAddress(text)
  if (typeof address === 'string') throw new Error(address)
  const agent = new EngineAgent()
  const line = { address: address.text, dial: dialer(address, agent), circuit: new Circuit() }
  return { address, line, agent }
}
