import { setTimeout as delay } from 'node:timers/promises'
import { RunnerUnreachable } from '../driver.ts'
import { flavourOf, isOfEngine, isStray404, saysNone, type Thing } from './answers.ts'
import { type EngineFacts, ping } from './engine-facts.ts'
import { ask as askEngine, type EngineAnswer, type EngineLine, type EngineRequest, refusalOf } from './request.ts'

/** Answers that a caller understands; without a deadline = the usual one, null = none. */
interface Expected {
  readonly ok: readonly number[]
  readonly deadlineMs?: number | null
}

/** Statuses of something between us and the engine, or of an engine that is not up yet. */
const NOT_NOW = new Set([502, 503, 504])

/** Not a word of the engine's about what was asked: it would be tried in vain now, and may work later. */
function isNotNow(answer: EngineAnswer): boolean {
  const isNoRefusal = answer.status < 400
  return NOT_NOW.has(answer.status) || isNoRefusal || isStray404(answer)
}

/**
 * Asks an engine with a deadline and makes of each answer what it is: understood, a denial, a refusal or a fault.
 * All throw RunnerUnreachable, the caller's reason on abort, and EngineRefusal.
 */
export class EngineCalls {
  readonly #line: EngineLine
  readonly #flavour: EngineFacts['flavour']
  readonly #callMs: number

  /** @param callMs  deadline of a call that sets none. */
  constructor(line: EngineLine, { flavour }: EngineFacts, callMs: number) {
    this.#line = line
    this.#flavour = flavour
    this.#callMs = callMs
  }

  /** @param ok  statuses of answers that the caller understands. */
  async ask(
    request: EngineRequest,
    signal: AbortSignal,
    ok: readonly number[],
    deadlineMs: number | null = this.#callMs,
  ): Promise<EngineAnswer> {
    return this.#understood(request, await this.#answer(request, deadlineMs, signal), ok)
  }

  /** @returns null if the engine says that there is no such thing. */
  async askFor(
    thing: Thing,
    request: EngineRequest,
    signal: AbortSignal,
    { ok, deadlineMs = this.#callMs }: Expected,
  ): Promise<EngineAnswer | null> {
    const answer = await this.#answer(request, deadlineMs, signal)
    // Podman (4.3) says of a measurement without a body that there is nothing to measure.
    const mayBeMute = request.method === 'HEAD' || request.isMeasurement === true
    const isDenied = answer.status === 404 && (answer.body !== null || mayBeMute) && saysNone(thing, answer)
    return isDenied ? null : this.#understood(request, answer, ok)
  }

  /** A call that may be slow has its time only while the engine answers a ping; of a hung one it learns as soon as others. */
  async #answer(request: EngineRequest, deadlineMs: number | null, signal: AbortSignal): Promise<EngineAnswer> {
    if (deadlineMs === null || deadlineMs <= this.#callMs) return askEngine(this.#line, request, deadlineMs, signal)
    const over = new AbortController()
    const answered = new AbortController()
    this.#untilSilent(answered.signal).then(
      (reason) => over.abort(reason),
      () => undefined,
    )
    try {
      return await askEngine(this.#line, request, deadlineMs, AbortSignal.any([signal, over.signal]))
    } finally {
      answered.abort()
    }
  }

  /** @returns why the engine counts as hung, half a call's time after the last ping that it answered. */
  async #untilSilent(signal: AbortSignal): Promise<RunnerUnreachable> {
    const halfMs = this.#callMs / 2
    for (;;) {
      await delay(halfMs, undefined, { signal })
      try {
        await ping(this.#line, halfMs, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof RunnerUnreachable) return error
        throw error
      }
    }
  }

  #understood(request: EngineRequest, answer: EngineAnswer, ok: readonly number[]): EngineAnswer {
    // A daemon that came to the address a moment ago: what it did must not be booked on the one before it.
    if (isOfEngine(answer.headers) && flavourOf(answer.headers) !== this.#flavour)
      throw new RunnerUnreachable(`another engine answers at ${this.#line.address} now`)
    if (ok.includes(answer.status)) return answer
    const refusal = refusalOf(answer)
    // A fault while reading says nothing about the container; only a bad question (400) gets no better by waiting.
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const isFault = isRead ? answer.status !== 400 : isNotNow(answer)
    if (isFault) throw new RunnerUnreachable(`${this.#line.address}: ${refusal.message}`)
    throw refusal
  }
}
