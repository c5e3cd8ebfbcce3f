import { setTimeout as delay } from 'node:timers/promises'
import type { PortBinding } from '../driver.ts'
import type { Engine } from './engine.ts'
import { type HostProcess, heardAtAddress, heardAtBinding, heardInside, hostProcess, type Listener } from './listens.ts'
import { LocalContainers } from './local-containers.ts'

/** As many containers as are likely to start at the same time; the rest is asked for anew. */
const MAX_KNOWN = 1_000
/** An engine that takes longer than this is helped. */
const PATIENCE_MS = 1_000

/** Answers whether a cocoon listens, five times a second and more, without asking the engine each time. */
export class ListenProbe {
  readonly #known = new Map<string, HostProcess>()
  readonly #warned = new Set<string>()
  readonly #warn: (message: string) => void
  readonly #local = new LocalContainers()

  constructor(warn: (message: string) => void) {
    this.#warn = warn
  }

  /** @throws RunnerUnreachable  the engine does not answer, and nothing on this machine can say it in its place. */
  async listens(
    engine: () => Promise<Engine>,
    id: string,
    binding: PortBinding,
    signal: AbortSignal,
  ): Promise<boolean> {
    const known = this.#known.get(id)
    if (known !== undefined) {
      const heard = await heardInside(known, binding.port)
      if (heard !== 'unknown') return this.#judge(heard, id, binding)
      this.#known.delete(id)
    }
    const found = engine().then((each) => this.#find(each, id, signal))
    if (await isSilent(found)) {
      const pid = this.#local.pidOf(id)
      const process = pid === null ? null : await hostProcess(pid)
      const heard = process === null ? 'unknown' : await heardInside(process, binding.port)
      if (heard !== 'unknown') return this.#judge(heard, id, binding)
    }
    const listener = await found
    return listener !== null && this.#ask(listener, id, binding, signal)
  }

  /** null = the container does not run. */
  async #find(engine: Engine, id: string, signal: AbortSignal): Promise<Listener | null> {
    const container = await engine.inspect(id, signal)
    if (container === null || !container.isAlive) return null
    const { pid, addresses } = container
    const process = pid !== null && engine.facts.isLocal ? await hostProcess(pid) : null
    if (process !== null) this.#remember(id, process)
    return { process, addresses }
  }

  async #ask(
    { process, addresses }: Listener,
    id: string,
    binding: PortBinding,
    signal: AbortSignal,
  ): Promise<boolean> {
    const inside = process === null ? 'unknown' : await heardInside(process, binding.port)
    if (inside !== 'unknown') return this.#judge(inside, id, binding)
    const outside = await heardAtAddress(addresses, binding.port, signal)
    return (outside === 'unknown' ? await heardAtBinding(binding, signal) : outside) === 'yes'
  }

  #judge(heard: 'yes' | 'no' | 'loopback-only', id: string, { port }: PortBinding): boolean {
    if (heard === 'loopback-only' && !this.#warned.has(id)) {
      this.#warned.add(id)
      this.#warn(`container ${id.slice(0, 12)} listens on port ${port} of its own loopback only: let it bind 0.0.0.0`)
    }
    return heard === 'yes'
  }

  #remember(id: string, process: HostProcess): void {
    if (this.#known.size >= MAX_KNOWN) {
      this.#known.clear()
      this.#warned.clear()
    }
    this.#known.set(id, process)
  }
}

/** True if it fails, or takes too long. */
async function isSilent(answer: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController()
  const patience = delay(PATIENCE_MS, true, { signal: enough.signal }).catch(() => true)
  try {
    return await Promise.race([
      answer.then(
        () => false,
        () => true,
      ),
      patience,
    ])
  } finally {
    enough.abort()
  }
}
