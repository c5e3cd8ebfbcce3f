import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { RunnerType } from '../../src/kinds/kind.ts'
import type {
  Availability,
  ExitStatus,
  Launched,
  LaunchSpec,
  Prepared,
  RunnerDriver,
  RunnerHandle,
  RunnerStatus,
  StatsCapable,
} from '../../src/runners/driver.ts'
import { RunnerUnreachable } from '../../src/runners/driver.ts'
import type { Usage } from '../../src/runners/usage/usage.ts'

export type FakeCall =
  | 'prepare'
  | 'start'
  | 'inspect'
  | 'wait'
  | 'stop'
  | 'remove'
  | 'list'
  | 'listens'
  | 'probe'
  | 'stats'

/** What a fake cocoon does once launched. */
export interface FakeBehaviour {
  /** Ends at once with this. */
  readonly exit?: ExitStatus
  readonly ignoresTerm?: boolean
  /** False = listens() is false until `listen(id)` is called. Default true. */
  readonly listens?: boolean
  /** Opens a real HTTP server on its first port that answers its environment. */
  readonly serve?: boolean
}

export interface FakeOptions {
  readonly type?: RunnerType
  readonly behave?: (spec: LaunchSpec) => FakeBehaviour
  readonly prepared?: Prepared
  /** What a running cocoon uses; absent = the runner does not tell. */
  readonly usage?: () => Usage
}

interface FakeCocoon {
  readonly key: string
  readonly instance: string
  readonly spec: LaunchSpec
  readonly pid: number
  readonly startedAt: string
  readonly behaviour: FakeBehaviour
  readonly end: PromiseWithResolvers<ExitStatus | null>
  listening: boolean
  exit: ExitStatus | null
  endedAt: string | null
  server: Server | null
}

const killed: ExitStatus = { code: 137, signal: 'SIGKILL', oom: false }
const terminated: ExitStatus = { code: 143, signal: 'SIGTERM', oom: false }

/** An in-memory runner that outlives its drivers, as a real one does, with a knob for everything that can go wrong. */
export class FakeRunner {
  /** Every call so far, such as `start web#1`; a call is noted when it begins. */
  readonly calls: string[] = []
  /** True = the engine does not answer: `inspect` says so, everything else throws RunnerUnreachable. */
  unreachable: boolean = false
  readonly #cocoons = new Map<string, FakeCocoon>()
  readonly #gates = new Map<FakeCall, Promise<void>>()
  readonly #errors = new Map<FakeCall, Error[]>()
  readonly #lostReplies = new Map<FakeCall, number>()
  readonly #options: FakeOptions
  #nextPid = 1_000

  constructor(options: FakeOptions = {}) {
    this.#options = options
  }

  /** Makes calls of this kind wait (a hang, if never released) until the returned function is called. */
  hold(call: FakeCall): () => void {
    const gate = Promise.withResolvers<void>()
    this.#gates.set(call, gate.promise)
    return () => {
      if (this.#gates.get(call) === gate.promise) this.#gates.delete(call)
      gate.resolve()
    }
  }

  /** The next call of this kind throws this instead of doing anything. */
  failNext(call: FakeCall, error: Error): void {
    this.#errors.set(call, [...(this.#errors.get(call) ?? []), error])
  }

  /** The next call of this kind takes effect, but its caller gets RunnerUnreachable. */
  loseReply(call: FakeCall): void {
    this.#lostReplies.set(call, (this.#lostReplies.get(call) ?? 0) + 1)
  }

  /** The service's newest cocoon ends by itself. */
  async exit(id: string, status: ExitStatus): Promise<void> {
    await this.#finish(this.#newest(id), status)
  }

  /** The service's newest cocoon begins, or ceases, to listen. */
  listen(id: string, listening = true): void {
    this.#newest(id).listening = listening
  }

  /** Everything of the service disappears behind Hive's back. */
  async vanish(id: string): Promise<void> {
    for (const cocoon of this.#of(id)) await this.#forget(cocoon)
  }

  /** How many cocoons of this service run now. */
  running(id: string): number {
    return this.#of(id).filter(({ exit }) => exit === null).length
  }

  /** Closes what `serve` opened. */
  async close(): Promise<void> {
    for (const cocoon of [...this.#cocoons.values()]) await this.#forget(cocoon)
  }

  driver(instance = 'fake'): RunnerDriver {
    return {
      type: this.#options.type ?? 'script',
      probe: async (signal) => this.#probe(signal),
      describe: () => ({
        available: !this.unreachable,
        reason: this.#downReason(),
        isolated: true,
        containment: 'fake',
      }),
      prepare: (spec, _onProgress, signal) =>
        this.#act('prepare', label(spec), signal, async () => this.#options.prepared ?? { exposed: [], pullMs: null }),
      start: (spec, signal) => this.#act('start', label(spec), signal, () => this.#start(instance, spec)),
      inspect: async (handle, signal) => {
        if (this.unreachable) return { state: 'unreachable', reason: 'The fake engine is down' }
        return this.#act('inspect', keyOf(handle), signal, async () => statusOf(this.#cocoons.get(keyOf(handle))))
      },
      wait: (handle, signal) => this.#act('wait', keyOf(handle), signal, () => this.#wait(handle, signal)),
      stop: (handle, graceMs, signal) =>
        this.#act('stop', keyOf(handle), signal, () => this.#stop(handle, graceMs, signal)),
      remove: (handle, _options, signal) => this.#act('remove', keyOf(handle), signal, () => this.#remove(handle)),
      list: (signal) => this.#act('list', instance, signal, async () => this.#list(instance)),
      listens: (handle, _binding, signal) =>
        this.#act('listens', keyOf(handle), signal, async () => this.#listens(handle)),
      close: async () => {},
      ...this.#stats(),
    }
  }

  #stats(): Partial<StatsCapable> {
    const { usage } = this.#options
    if (usage === undefined) return {}
    const read = (key: string) => (this.#cocoons.get(key)?.exit === null ? usage() : null)
    return { stats: (handle, signal) => this.#act('stats', keyOf(handle), signal, async () => read(keyOf(handle))) }
  }

  async #act<T>(call: FakeCall, what: string, signal: AbortSignal, effect: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    this.calls.push(`${call} ${what}`)
    await abortable(this.#gates.get(call) ?? Promise.resolve(), signal)
    if (this.unreachable) throw new RunnerUnreachable('The fake engine is down')
    const error = this.#errors.get(call)?.shift()
    if (error) throw error
    const result = await effect()
    const lost = this.#lostReplies.get(call) ?? 0
    if (lost === 0) return result
    this.#lostReplies.set(call, lost - 1)
    throw new RunnerUnreachable(`The reply to ${call} is lost`)
  }

  async #probe(signal: AbortSignal): Promise<Availability> {
    signal.throwIfAborted()
    await abortable(this.#gates.get('probe') ?? Promise.resolve(), signal)
    return { available: !this.unreachable, reason: this.#downReason() }
  }

  async #start(instance: string, spec: LaunchSpec): Promise<Launched> {
    const key = `${spec.id}#${spec.attempt}`
    const found = this.#cocoons.get(key)
    if (found) return launchedOf(found, true)
    const behaviour = this.#options.behave?.(spec) ?? {}
    const cocoon: FakeCocoon = {
      key,
      instance,
      spec,
      behaviour,
      pid: this.#nextPid++,
      startedAt: new Date().toISOString(),
      end: Promise.withResolvers(),
      listening: behaviour.listens ?? true,
      exit: null,
      endedAt: null,
      server: null,
    }
    this.#cocoons.set(key, cocoon)
    if (behaviour.serve) cocoon.server = await serve(spec)
    if (behaviour.exit) await this.#finish(cocoon, behaviour.exit)
    return launchedOf(cocoon, false)
  }

  async #wait(handle: RunnerHandle, signal: AbortSignal): Promise<ExitStatus | null> {
    const cocoon = this.#cocoons.get(keyOf(handle))
    return cocoon ? abortable(cocoon.end.promise, signal) : null
  }

  async #stop(handle: RunnerHandle, graceMs: number, signal: AbortSignal): Promise<void> {
    const cocoon = this.#cocoons.get(keyOf(handle))
    if (!cocoon || cocoon.exit) return
    if (!cocoon.behaviour.ignoresTerm) return this.#finish(cocoon, terminated)
    const timer = Promise.withResolvers<void>()
    const timeout = setTimeout(timer.resolve, graceMs)
    try {
      await abortable(Promise.race([timer.promise, cocoon.end.promise]), signal)
    } finally {
      clearTimeout(timeout)
    }
    await this.#finish(cocoon, killed)
  }

  async #remove(handle: RunnerHandle): Promise<void> {
    for (const cocoon of this.#of(String(handle.data['id']))) await this.#forget(cocoon)
  }

  #list(instance: string) {
    const newest = new Map<string, FakeCocoon>()
    for (const cocoon of this.#cocoons.values()) if (cocoon.instance === instance) newest.set(cocoon.spec.id, cocoon)
    return [...newest.values()].map((cocoon) => ({
      id: cocoon.spec.id,
      name: cocoon.spec.name,
      kind: cocoon.spec.kind,
      port: cocoon.spec.ports[0]?.port ?? null,
      attempt: cocoon.spec.attempt,
      handle: handleOf(cocoon.spec),
      running: cocoon.exit === null,
      createdAt: cocoon.startedAt,
    }))
  }

  #listens(handle: RunnerHandle): boolean {
    const cocoon = this.#cocoons.get(keyOf(handle))
    return cocoon?.exit === null && cocoon.listening
  }

  async #finish(cocoon: FakeCocoon, status: ExitStatus): Promise<void> {
    if (cocoon.exit) return
    cocoon.exit = status
    cocoon.endedAt = new Date().toISOString()
    await closeServer(cocoon)
    cocoon.end.resolve(status)
  }

  async #forget(cocoon: FakeCocoon): Promise<void> {
    this.#cocoons.delete(cocoon.key)
    await closeServer(cocoon)
    cocoon.end.resolve(cocoon.exit)
  }

  #of(id: string): FakeCocoon[] {
    return [...this.#cocoons.values()].filter(({ spec }) => spec.id === id)
  }

  #newest(id: string): FakeCocoon {
    const cocoon = this.#of(id).at(-1)
    if (!cocoon) throw new Error(`the fake runner has no cocoon of service ${id}`)
    return cocoon
  }

  #downReason(): string | null {
    return this.unreachable ? 'The fake engine is down' : null
  }
}

function label(spec: LaunchSpec): string {
  return `${spec.id}#${spec.attempt}`
}

function handleOf(spec: LaunchSpec): RunnerHandle {
  return { version: 1, runner: 'fake', data: { id: spec.id, attempt: spec.attempt } }
}

function keyOf(handle: RunnerHandle): string {
  return `${handle.data['id']}#${handle.data['attempt']}`
}

function launchedOf(cocoon: FakeCocoon, adopted: boolean): Launched {
  const { spec, pid, startedAt } = cocoon
  return {
    handle: handleOf(spec),
    endpoint: endpointOf(spec),
    pid,
    containerId: null,
    startedAt,
    adopted,
    ports: adopted ? spec.ports : null,
    createMs: null,
  }
}

function statusOf(cocoon: FakeCocoon | undefined): RunnerStatus {
  if (!cocoon) return { state: 'missing' }
  if (cocoon.exit) return { state: 'exited', exit: cocoon.exit, endedAt: cocoon.endedAt }
  return { state: 'running', pid: cocoon.pid, startedAt: cocoon.startedAt, endpoint: endpointOf(cocoon.spec) }
}

function endpointOf(spec: LaunchSpec) {
  const [binding] = spec.ports
  return binding ? { host: binding.host, port: binding.hostPort } : null
}

async function serve(spec: LaunchSpec): Promise<Server> {
  const body = Object.entries(spec.env).map(([name, value]) => `${name}=${value}\n`)
  const server = createServer((_request, response) => response.end(body.join('')))
  server.listen(spec.ports[0]?.hostPort, spec.ports[0]?.host)
  await once(server, 'listening')
  return server
}

async function closeServer(cocoon: FakeCocoon): Promise<void> {
  const { server } = cocoon
  cocoon.server = null
  if (!server) return
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

/** The promise, or the abort: whichever comes first. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener('abort', onAbort))
}
