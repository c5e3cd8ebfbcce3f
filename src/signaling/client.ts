import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { Connection, type ConnectionEnd } from './connection.ts'
import { DIALECTS, type Generation, otherGeneration } from './dialect.ts'
import type { Message } from './frame.ts'
import type { Outbox } from './outbox.ts'
import type { SignalingState } from './status.ts'
import type { SignalingTimings } from './timings.ts'
import { hiveUrl, roleIn, shownUrl } from './url.ts'

export interface ClientParts {
  readonly url: string
  /** null = found out: by the role in the URL, then by what the server answers. */
  readonly generation: Generation | null
  readonly hiveId: string
  /** What to register, without its `type`. */
  readonly registration: () => Readonly<Record<string, unknown>>
  readonly onMessage: (generation: Generation, message: Message) => void
  readonly onState: (state: SignalingState, generation: Generation) => void
  readonly outbox: Outbox
  readonly timings: SignalingTimings
  readonly random: () => number
  readonly log: Logger
}

/** Keeps Hive registered: dials, registers, serves, and dials again after a wait, until it is closed. */
export class SignalingClient {
  readonly #parts: ClientParts
  readonly #stop = new AbortController()
  #generation: Generation
  #connection: Connection | null = null
  #failures = 0
  #done: Promise<void> = Promise.resolve()

  constructor(parts: ClientParts) {
    this.#parts = parts
    this.#generation = parts.generation ?? (roleIn(parts.url) === null ? 1 : 2)
  }

  start(): void {
    this.#done = this.#run()
  }

  /** Registers again on the connection there is, if it is registered. */
  renew(): void {
    this.#connection?.renew()
  }

  /** Says goodbye to the server and ends; takes little longer than `closeMs`. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#connection?.close()
    await this.#done
    this.#parts.onState('closed', this.#generation)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    let isGuessing = true
    while (!signal.aborted) {
      const end = await this.#connect()
      if (signal.aborted) return
      const isOther = this.#parts.generation === null && end.isOtherGeneration
      if (isOther) this.#generation = otherGeneration(this.#generation)
      // The other generation is tried at once, but only once in a row.
      const waitMs = isOther && isGuessing ? 0 : this.#nextWaitMs(end)
      isGuessing = !isOther
      await this.#pause(end, waitMs)
    }
  }

  async #connect(): Promise<ConnectionEnd> {
    const { url, registration, outbox, onState, onMessage, log } = this.#parts
    const generation = this.#generation
    const dialect = DIALECTS[generation]
    onState('connecting', generation)
    const connection = new Connection({
      ...this.#parts,
      url: hiveUrl(url, generation),
      dialect,
      mayChange: this.#parts.generation === null,
      registration: () => ({ type: dialect.register, ...registration() }),
      onOpen: () => onState('registering', generation),
      onRegistered: () => {
        log.info({ server: shownUrl(url), generation }, 'signaling: registered')
        onState('registered', generation)
        outbox.attach(connection)
      },
      onMessage: (message) => onMessage(generation, message),
    })
    this.#connection = connection
    const end = await connection.ended
    outbox.detach()
    this.#connection = null
    return end
  }

  async #pause(end: ConnectionEnd, waitMs: number): Promise<void> {
    const { url, log, onState, timings } = this.#parts
    const isShort = end.registeredMs !== null && end.registeredMs < timings.stableMs
    const server = shownUrl(url)
    const fields = { server, reason: end.reason, retry_ms: Math.round(waitMs) }
    if (waitMs === 0) log.info(fields, 'signaling: trying the other generation of the protocol')
    else log.warn(fields, 'signaling: not connected')
    if (isShort && this.#failures > 2)
      log.warn(
        { server, hive_id: this.#parts.hiveId },
        'signaling: keeps being closed: does another Hive use this HIVE_ID?',
      )
    onState('waiting', this.#generation)
    await delay(waitMs, undefined, { signal: this.#stop.signal }).catch(() => undefined) // closed while waiting
  }

  /** Full jitter: anything from nothing to a limit that doubles, so that many Hives do not come back together. */
  #nextWaitMs({ registeredMs }: ConnectionEnd): number {
    const { retryFirstMs, retryMostMs, stableMs } = this.#parts.timings
    if (registeredMs !== null && registeredMs >= stableMs) this.#failures = 0
    const limit = Math.min(retryMostMs, retryFirstMs * 2 ** Math.min(this.#failures, 30))
    this.#failures += 1
    return this.#parts.random() * limit
  }
}
