import { type Availability, RunnerUnreachable } from '../driver.ts'
import { Engine, type Timeouts } from './engine.ts'
import type { EngineAddress } from './engine-address.ts'
import { askFacts, ping } from './engine-facts.ts'
import type { EngineLine } from './request.ts'

/** An address to try, and what is known of the engine behind it. */
export interface Candidate {
  readonly address: EngineAddress
  readonly line: EngineLine
}

interface Known extends Candidate {
  engine: Engine | null
  /** Why it did not answer the last time; null if it did. */
  fault: string | null
  confirmedAt: number
}

/** A denial counts from the engine that was proven to be the same this short a time ago. */
const CONFIRMED_FOR_MS = 1_000

/**
 * The engines of one runner. New containers go to the first that answers, in the order of the addresses; that choice
 * is kept while Hive lives, so that a repeated start after a lost reply cannot land on another engine. A handle goes
 * to the engine it names.
 */
export class EnginePool {
  readonly #known: readonly Known[]
  readonly #timeouts: Timeouts
  readonly #runner: string
  #chosen: Known | null = null

  constructor(runner: string, candidates: readonly Candidate[], timeouts: Timeouts) {
    this.#runner = runner
    const unknown = { engine: null, fault: 'it has not been asked yet', confirmedAt: Number.NEGATIVE_INFINITY }
    this.#known = candidates.map((candidate) => ({ ...candidate, ...unknown }))
    this.#timeouts = timeouts
  }

  /** What the last probe saw. */
  get availability(): Availability {
    const asked = this.#asked()
    const isUp = asked.some(({ fault }) => fault === null)
    return { available: isUp, reason: isUp ? null : this.#reason(asked) }
  }

  /** Asks the chosen engine, or all while there is none. Tries even if the circuit is open. */
  async probe(signal: AbortSignal): Promise<Availability> {
    await Promise.all(this.#asked().map((known) => this.#ask(known, signal)))
    this.#chosen ??= this.#known.find(({ fault }) => fault === null) ?? null
    return this.availability
  }

  /** The engine for new containers. @throws RunnerUnreachable  none answers. */
  async forNew(signal: AbortSignal): Promise<Engine> {
    if (this.#chosen === null) await this.probe(signal)
    const engine = this.#chosen?.engine
    if (!engine) throw new RunnerUnreachable(this.#reason(this.#asked()))
    return engine
  }

  /** The engine of a handle. @throws RunnerUnreachable  no address leads to it now. */
  async withId(id: string, signal: AbortSignal): Promise<Engine> {
    const known = this.#find(id)
    if (known !== null) return known
    await Promise.all(this.#known.filter(({ engine }) => engine === null).map((each) => this.#ask(each, signal)))
    const found = this.#find(id)
    if (found === null)
      throw new RunnerUnreachable(`the ${this.#runner} engine that has this container does not answer`)
    return found
  }

  /** Every engine that has answered so far, or all that answer now. @throws RunnerUnreachable  none. */
  async all(signal: AbortSignal): Promise<readonly Engine[]> {
    await Promise.all(this.#known.filter(({ engine }) => engine === null).map((each) => this.#ask(each, signal)))
    const engines = this.#known.flatMap(({ engine }) => (engine === null ? [] : [engine]))
    if (engines.length === 0) throw new RunnerUnreachable(this.#reason(this.#known))
    return engines
  }

  /** True if the address still leads to the same engine; otherwise it is known anew. @throws RunnerUnreachable */
  async isStill(engine: Engine, signal: AbortSignal): Promise<boolean> {
    const known = this.#known.find((each) => each.engine === engine)
    if (known === undefined) return false
    if (performance.now() - known.confirmedAt > CONFIRMED_FOR_MS) await this.#learn(known, signal)
    return known.engine?.facts.id === engine.facts.id
  }

  #asked(): readonly Known[] {
    return this.#chosen === null ? this.#known : [this.#chosen]
  }

  #find(id: string): Engine | null {
    return this.#known.find(({ engine }) => engine?.facts.id === id)?.engine ?? null
  }

  async #ask(known: Known, signal: AbortSignal): Promise<void> {
    try {
      // What was away may come back as another engine; what was there the last time is the same.
      const isKnown = known.engine !== null && known.fault === null
      const flavour = isKnown ? await ping(known.line, this.#timeouts.callMs, signal) : null
      if (flavour !== known.engine?.facts.flavour || !isKnown) await this.#learn(known, signal)
      known.fault = null
    } catch (error) {
      if (signal.aborted) throw signal.reason
      known.fault = error instanceof Error ? error.message : 'unknown fault'
    }
  }

  async #learn(known: Known, signal: AbortSignal): Promise<void> {
    const facts = await askFacts(known.line, known.address, this.#timeouts.callMs, signal)
    known.confirmedAt = performance.now()
    if (JSON.stringify(known.engine?.facts) !== JSON.stringify(facts))
      known.engine = new Engine(known.line, facts, this.#timeouts)
  }

  #reason(asked: readonly Known[]): string {
    const setting = this.#runner === 'podman' ? 'HIVE_PODMAN_HOST' : 'HIVE_DOCKER_HOST'
    if (asked.length === 0) return `no ${this.#runner} engine is configured: set ${setting}`
    const faults = asked.map(({ fault }) => fault).join('; ')
    return `no ${this.#runner} engine answers (${faults}): start it, or set ${setting} to where it listens`
  }
}
