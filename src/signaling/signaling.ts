import type { Logger } from 'pino'
import type { KindSpec } from '../kinds/kind.ts'
import { redactKind } from '../kinds/redact.ts'
import type { Secret } from '../secret.ts'
import type { Clock } from '../services/context.ts'
import type { Supervisor } from '../services/supervisor.ts'
import type { DocumentStore } from '../services/table/table.ts'
import type { Vault } from '../services/table/vault.ts'
import type { ServiceView } from '../services/view.ts'
import { SignalingClient } from './client.ts'
import { Desk } from './desk.ts'
import { DIALECTS, type Generation } from './dialect.ts'
import { FaultLog } from './fault-log.ts'
import { type Message, shown } from './frame.ts'
import { Ledger } from './ledger.ts'
import { Outbox } from './outbox.ts'
import { readRequest } from './request.ts'
import { signHiveId } from './signature.ts'
import { SIGNALING_OFF, type SignalingState, type SignalingStatus } from './status.ts'
import { TerminateTargets } from './targets.ts'
import { type SignalingTimings, TIMINGS } from './timings.ts'

export interface SignalingParts {
  readonly url: string
  readonly secret: Secret
  readonly hiveId: string
  readonly version: string
  /** null = find out which one the server speaks. */
  readonly generation: Generation | null
  readonly kinds: Iterable<KindSpec>
  readonly isAvailable: (kind: KindSpec) => boolean
  readonly supervisor: Pick<Supervisor, 'spawn' | 'intend'>
  readonly view: ServiceView
  readonly documents: DocumentStore
  readonly vault: Vault
  readonly maxCocoons: number
  readonly clock: Clock
  readonly log: Logger
  readonly timings?: Partial<SignalingTimings>
  readonly random?: () => number
}

type Listener = (status: SignalingStatus) => void

/** Hive as seen by a signaling server: registered there, and doing what it asks through the supervisor. */
export class Signaling {
  readonly #parts: SignalingParts
  readonly #timings: SignalingTimings
  readonly #ledger: Ledger
  readonly #outbox: Outbox
  readonly #targets: TerminateTargets
  readonly #desk: Desk
  readonly #client: SignalingClient
  readonly #faults: FaultLog
  readonly #listeners = new Set<Listener>()
  #state: Pick<SignalingStatus, 'state' | 'generation' | 'since'> = SIGNALING_OFF
  #kindsTimer: NodeJS.Timeout | null = null
  #registeredKinds = ''
  #isClosed = false

  constructor(parts: SignalingParts) {
    const { view, documents, vault, clock, log, supervisor, maxCocoons } = parts
    this.#parts = parts
    this.#timings = { ...TIMINGS, ...parts.timings }
    this.#faults = new FaultLog(log)
    this.#ledger = new Ledger({ documents, vault, now: () => clock.now() })
    this.#outbox = new Outbox(this.#ledger, log)
    this.#targets = new TerminateTargets(view, documents, log)
    const [ledger, targets] = [this.#ledger, this.#targets]
    const onResult = this.#outbox.add.bind(this.#outbox)
    this.#desk = new Desk({ supervisor, view, ledger, targets, log, maxCocoons, onResult })
    this.#client = this.#createClient()
  }

  /** Goes on with what an earlier Hive owed, then dials. */
  async start(): Promise<void> {
    await this.#targets.load()
    const owed = await this.#ledger.load()
    if (this.#isClosed) return
    this.#desk.resume(owed)
    this.#client.start()
    this.#kindsTimer = setInterval(() => this.#renewIfChanged(), this.#timings.kindsMs)
    this.#kindsTimer.unref()
  }

  status(): SignalingStatus {
    return { ...this.#state, pending: this.#desk.pending, unsent: this.#outbox.size }
  }

  /** Calls back after each change of state; the seam for metrics and events. @returns the function that ends it. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Closes the connection cleanly. What is still owed stays in the table for the next Hive. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#kindsTimer) clearInterval(this.#kindsTimer)
    await this.#desk.close()
    await this.#client.close()
    await this.#outbox.settled()
    this.#targets.close()
  }

  #createClient(): SignalingClient {
    const { url, generation, hiveId, log, random = Math.random } = this.#parts
    return new SignalingClient({
      url,
      generation,
      hiveId,
      log,
      random,
      timings: this.#timings,
      outbox: this.#outbox,
      registration: () => this.#registration(),
      onMessage: (spoken, message) => this.#receive(spoken, message),
      onState: (state, spoken) => this.#enter(state, spoken),
    })
  }

  /** Only what can be spawned now: servers send a request to any hive that names its kind. */
  #registration(): Readonly<Record<string, unknown>> {
    const { hiveId, version, secret } = this.#parts
    const cocoonKinds = this.#kinds()
    this.#registeredKinds = JSON.stringify(cocoonKinds)
    const signature = signHiveId(secret, hiveId)
    return { hive_id: hiveId, version, cocoon_kinds: cocoonKinds, hive_id_signature: signature }
  }

  #kinds() {
    return [...this.#parts.kinds].filter((kind) => this.#parts.isAvailable(kind)).map(redactKind)
  }

  #renewIfChanged(): void {
    if (this.#state.state !== 'registered' || JSON.stringify(this.#kinds()) === this.#registeredKinds) return
    this.#parts.log.info('signaling: what can be spawned has changed: registering again')
    this.#client.renew()
  }

  #receive(generation: Generation, message: Message): void {
    const request = readRequest(DIALECTS[generation], message)
    if (request === null) this.#faults.note('a message of an unknown type', { type: shown(message.type) })
    else if ('fault' in request) this.#faults.note(request.fault)
    else if ('refused' in request) this.#outbox.add(request.refused)
    else this.#desk.take(request.asked)
  }

  #enter(state: SignalingState, generation: Generation): void {
    this.#state = { state, generation, since: this.#parts.clock.now().toISOString() }
    for (const listener of this.#listeners) listener(this.status())
  }
}
