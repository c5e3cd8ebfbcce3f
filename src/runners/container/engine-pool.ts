import { stat } from 'node:fs/promises'
import { type Availability, RunnerUnreachable } from '../driver.ts'
import { Engine } from './engine.ts'
import type { EngineAddress } from './engine-address.ts'
import { askFacts, ping } from './engine-facts.ts'
import type { EngineLine } from './request.ts'
import { type TimeLimit, timeLimit, untilAborted } from './time-limit.ts'
import type { Timeouts } from './timeouts.ts'

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
  askedAt: number
  /** True once a container of ours was seen on it. */
  isUsed: boolean
  /** Aborted when it hangs: what waits for it without a deadline would wait for ever. */
  hang: AbortController
  /** When its facts were asked for the last time. */
  learnedAt: number
  /** The socket that it was found behind; null = not a socket, or none was there. */
  socket: string | null
  /** Its facts being asked for. */
  learning: Promise<void> | null
}

/** A denial counts from the engine that was proven to be the same this short a time ago. */
const CONFIRMED_FOR_MS = 1_000
/** A probe is one of many in a round, so it has less time than a call. */
const PROBE_MS = 4_500
/** An address that never led to an engine is tried again this much later. */
const ASK_AGAIN_MS = 10_000
/** How often an address is asked who is there, while a container's engine is not to be found. */
const SEEK_EVERY_MS = 5_000
/** How often it is asked although nothing has happened: an engine may have changed unseen behind a proxy. */
const LEARN_EVERY_MS = 60_000

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
    const never = Number.NEGATIVE_INFINITY
    const unknown = {
      engine: null,
      fault: 'it has not answered yet',
      confirmedAt: never,
      askedAt: never,
      isUsed: false,
      learnedAt: never,
      socket: null,
      learning: null,
    }
    this.#known = candidates.map((candidate) => ({ ...candidate, ...unknown, hang: new AbortController() }))
    this.#timeouts = timeouts
  }

  /** What the last probe saw. */
  get availability(): Availability {
    const asked = this.#asked()
    const isUp = asked.some(({ fault }) => fault === null)
    return { available: isUp, reason: isUp ? null : this.#reason(asked) }
  }

  /** The engine that new containers go to; null = none has answered yet. */
  get chosen(): Engine | null {
    return this.#chosen?.engine ?? null
  }

  /** Asks the chosen engine, or all while there is none. Tries even if the circuit is open. */
  async probe(signal: AbortSignal): Promise<Availability> {
    const limit = timeLimit(signal, PROBE_MS)
    try {
      await Promise.all(this.#asked().map((known) => this.#askInTime(known, limit)))
    } finally {
      limit.release()
    }
    this.#chosen ??= this.#known.find(({ fault }) => fault === null) ?? null
    return this.availability
  }

  /** Aborts when the engine hangs, with the RunnerUnreachable to throw; null = it is another engine by now. */
  hangOf(engine: Engine): AbortSignal | null {
    return this.#known.find((known) => known.engine === engine)?.hang.signal ?? null
  }

  /** The engine for new containers. @throws RunnerUnreachable  none answers. */
  async forNew(signal: AbortSignal): Promise<Engine> {
    if (this.#chosen === null) await this.probe(signal)
    const known = this.#chosen
    // A create has no handle that would tell that it went to another engine than it is booked on.
    if (known?.engine && known.socket !== (await socketAt(known.address)))
      await untilAborted(this.#learnOnce(known), signal)
    const engine = known?.engine
    if (!engine) throw new RunnerUnreachable(this.#reason(this.#asked()))
    return engine
  }

  /** The engine of a handle. @throws RunnerUnreachable  no address leads to it now. */
  async withId(id: string, signal: AbortSignal): Promise<Engine> {
    if (this.#find(id) === null) await this.#askUnknown(0, signal)
    if (this.#find(id) === null) await this.#seek(signal)
    const found = this.#find(id)
    if (!found?.engine) throw new RunnerUnreachable(this.#whereIs(id))
    found.isUsed = true
    return found.engine
  }

  /**
   * Collects from every engine that may have containers of ours.
   * @throws RunnerUnreachable  one of them does not answer; an engine that never had any is passed over then.
   */
  async fromAll<T>(collect: (engine: Engine) => Promise<readonly T[]>, signal: AbortSignal): Promise<readonly T[]> {
    await this.#askUnknown(ASK_AGAIN_MS, signal)
    if (this.#known.every(({ engine }) => engine === null)) throw new RunnerUnreachable(this.#reason(this.#known))
    const parts = await Promise.all(this.#known.map((known) => this.#collect(known, collect)))
    return parts.flat()
  }

  #asked(): readonly Known[] {
    return this.#chosen === null ? this.#known : [this.#chosen]
  }

  #find(id: string): Known | null {
    return this.#known.find(({ engine }) => engine?.facts.id === id) ?? null
  }

  async #collect<T>(known: Known, collect: (engine: Engine) => Promise<readonly T[]>): Promise<readonly T[]> {
    if (known.engine === null) return []
    try {
      const part = await collect(known.engine)
      if (part.length > 0) known.isUsed = true
      return part
    } catch (error) {
      if (error instanceof RunnerUnreachable && !known.isUsed && known !== this.#chosen) return []
      throw error
    }
  }

  async #askUnknown(olderThanMs: number, signal: AbortSignal): Promise<void> {
    const before = performance.now() - olderThanMs
    const due = this.#known.filter(({ engine, askedAt }) => engine === null && askedAt <= before)
    await Promise.all(due.map((known) => this.#ask(known, signal)))
  }

  /** An engine may have come back to an address where another one was, unseen by any probe. */
  async #seek(signal: AbortSignal): Promise<void> {
    const before = performance.now() - SEEK_EVERY_MS
    const due = this.#known.filter(({ learnedAt, learning }) => learnedAt <= before || learning !== null)
    const learned = Promise.allSettled(due.map((known) => this.#learnOnce(known)))
    await untilAborted(learned, signal)
  }

  #whereIs(id: string): string {
    const others = this.#known.filter(
      ({ engine, fault }) => engine !== null && fault === null && engine.facts.id !== id,
    )
    const [other] = others
    if (other === undefined || others.length < this.#known.length)
      return `the ${this.#runner} engine that has this container does not answer`
    return `another engine answers at ${other.address.text} now`
  }

  async #confirm(known: Known, id: string, signal: AbortSignal): Promise<void> {
    if (performance.now() - known.confirmedAt > CONFIRMED_FOR_MS) await untilAborted(this.#learnOnce(known), signal)
    if (known.engine?.facts.id !== id)
      throw new RunnerUnreachable(`another engine answers at ${known.address.text} now`)
  }

  async #askInTime(known: Known, limit: TimeLimit): Promise<void> {
    try {
      await this.#ask(known, limit.signal)
    } catch (error) {
      if (!limit.isOver()) throw error
      known.line.circuit.timedOut()
      known.hang.abort(new RunnerUnreachable(`${known.address.text}: it does not answer any more`))
      known.hang = new AbortController()
    }
  }

  async #ask(known: Known, signal: AbortSignal): Promise<void> {
    known.askedAt = performance.now()
    try {
      // What was away may come back as another engine; what was there the last time is the same.
      const isSame = known.fault === null && known.socket === (await socketAt(known.address))
      const isKnown = known.engine !== null && isSame
      const flavour = isKnown ? await ping(known.line, this.#timeouts.callMs, signal) : null
      if (flavour !== known.engine?.facts.flavour || !isKnown) await untilAborted(this.#learnOnce(known), signal)
      known.fault = null
      if (performance.now() - known.learnedAt > LEARN_EVERY_MS) this.#learnOnce(known).catch(() => undefined)
    } catch (error) {
      known.fault = signal.aborted ? `${known.address.text}: it does not answer in time` : null
      if (signal.aborted) throw signal.reason
      known.fault = error instanceof Error ? error.message : 'unknown fault'
    }
  }

  /** Goes on when a probe has no time left: a busy Podman may need longer for its facts than any probe may wait. */
  #learnOnce(known: Known): Promise<void> {
    known.learning ??= this.#learn(known, new AbortController().signal)
      .then(() => {
        known.fault = null
      })
      .finally(() => {
        known.learning = null
      })
    return known.learning
  }

  async #learn(known: Known, signal: AbortSignal): Promise<void> {
    known.learnedAt = performance.now()
    const socket = await socketAt(known.address)
    const facts = await askFacts(known.line, known.address, this.#timeouts.callMs, signal)
    known.confirmedAt = performance.now()
    known.socket = socket
    if (JSON.stringify(known.engine?.facts) !== JSON.stringify(facts)) {
      const confirm = (until: AbortSignal): Promise<void> => this.#confirm(known, facts.id, until)
      known.engine = new Engine(known.line, facts, this.#timeouts, confirm)
    }
  }

  #reason(asked: readonly Known[]): string {
    const setting = this.#runner === 'podman' ? 'HIVE_PODMAN_HOST' : 'HIVE_DOCKER_HOST'
    if (asked.length === 0) return `no ${this.#runner} engine is configured: set ${setting}`
    const faults = asked.map(({ fault }) => fault).join('; ')
    return `no ${this.#runner} engine answers (${faults}): start it, or set ${setting} to where it listens`
  }
}

/** Which socket lies at an address: a daemon that comes up makes a new one. null = none, or not a path. */
async function socketAt(address: EngineAddress): Promise<string | null> {
  if (!('socketPath' in address)) return null
  const file = await stat(address.socketPath, { bigint: true }).catch(() => null)
  return file === null ? null : `${file.dev}:${file.ino}:${file.ctimeNs}`
}
