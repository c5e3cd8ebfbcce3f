import type { Logger } from 'pino'
import { WebSocket } from 'ws'
import { type Dialect, isOfOtherGeneration } from './dialect.ts'
import { FaultLog } from './fault-log.ts'
import { type Message, readFrame, shown } from './frame.ts'
import { Heartbeat } from './heartbeat.ts'
import { type Result, resultMessage } from './request.ts'
import type { SignalingTimings } from './timings.ts'

/** Larger frames end the connection; smaller ones that are still too large for a message are skipped. */
const FRAME_LIMIT_BYTES = 16 * 1024 * 1024
const FRAGMENT_LIMIT = 4096
const CLOSE_GOING_AWAY = 1001

export interface ConnectionParts {
  readonly url: string
  readonly dialect: Dialect
  readonly hiveId: string
  /** The register message as it is now; asked again for each renewal. */
  readonly registration: () => Readonly<Record<string, unknown>>
  readonly onOpen: () => void
  readonly onRegistered: () => void
  readonly onMessage: (message: Message) => void
  /** True = end as soon as the server shows that it speaks the other generation. */
  readonly mayChange: boolean
  readonly timings: SignalingTimings
  readonly log: Logger
}

export interface ConnectionEnd {
  /** Milliseconds it was registered; null = it never was. */
  readonly registeredMs: number | null
  readonly reason: string
  /** The server showed, or may be thought, to speak the other generation. */
  readonly isOtherGeneration: boolean
}

/** One WebSocket to the signaling server, from the dial to its end. Nothing the server does makes it throw. */
export class Connection {
  readonly ended: Promise<ConnectionEnd>
  readonly #parts: ConnectionParts
  readonly #socket: WebSocket
  readonly #heartbeat: Heartbeat
  readonly #faults: FaultLog
  readonly #end = Promise.withResolvers<ConnectionEnd>()
  #registeredAt: number | null = null
  #confirm: NodeJS.Timeout | null = null
  #closing: NodeJS.Timeout | null = null
  #reason: string | null = null
  #isOtherGeneration = false

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.ended = this.#end.promise
    this.#faults = new FaultLog(parts.log)
    this.#socket = new WebSocket(parts.url, {
      handshakeTimeout: parts.timings.handshakeMs,
      maxPayload: FRAME_LIMIT_BYTES,
      maxFragments: FRAGMENT_LIMIT,
      perMessageDeflate: false,
    })
    this.#heartbeat = new Heartbeat(parts.timings.pingMs, {
      ping: (payload) => this.#socket.ping(payload),
      onDead: () => this.#abandon('it does not answer any more'),
    })
    this.#listen()
  }

  send(result: Result): void {
    this.#write(resultMessage(this.#parts.dialect, result))
  }

  whenReceived(done: () => void): void {
    this.#heartbeat.whenAnswered(done)
  }

  /** Sends the registration again, because something in it has changed. */
  renew(): void {
    if (this.#registeredAt !== null) this.#register()
  }

  /** Says goodbye; `ended` resolves soon after, whatever the server does. */
  close(): void {
    this.#reason ??= 'Hive is shutting down'
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.close(CLOSE_GOING_AWAY, 'shutting down')
      this.#closing = setTimeout(() => this.#socket.terminate(), this.#parts.timings.closeMs)
    } else {
      this.#socket.terminate()
    }
  }

  #listen(): void {
    this.#socket.on('error', (error) => this.#note(error))
    this.#socket.on('open', () => {
      this.#parts.onOpen()
      this.#register()
    })
    this.#socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    this.#socket.on('ping', () => this.#heartbeat.heard())
    this.#socket.on('pong', (payload) => this.#heartbeat.answered(payload))
    this.#socket.on('close', (code, reason) => this.#closed(code, reason.toString('utf8')))
  }

  #register(): void {
    this.#write(this.#parts.registration())
    if (this.#confirm) clearTimeout(this.#confirm)
    this.#confirm = setTimeout(() => {
      // Silence before any confirmation is also what a server does that does not know the message.
      this.#isOtherGeneration ||= this.#registeredAt === null
      this.#abandon('the registration was not confirmed in time')
    }, this.#parts.timings.confirmMs)
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#heartbeat.heard()
    const frame = readFrame(data, isBinary)
    if ('fault' in frame) this.#faults.note(frame.fault)
    else this.#take(frame.message)
  }

  #take(message: Message): void {
    const { dialect, mayChange, onMessage } = this.#parts
    const isForeign = this.#registeredAt === null && isOfOtherGeneration(dialect, message.type)
    if (message.type === dialect.registered) this.#confirmed(message)
    else if (dialect.complaints.includes(message.type)) this.#complaint(message)
    else if (isForeign && mayChange) this.#leave()
    else onMessage(message)
  }

  #leave(): void {
    this.#isOtherGeneration = true
    this.#abandon(`it does not speak generation ${this.#parts.dialect.generation} of the protocol`)
  }

  #confirmed({ body }: Message): void {
    if (this.#confirm) clearTimeout(this.#confirm)
    this.#confirm = null
    const { hive_id } = body
    if (hive_id !== undefined && hive_id !== this.#parts.hiveId)
      this.#faults.note('the name of another hive in a confirmation', { hive_id: shown(hive_id) })
    if (this.#registeredAt !== null) return
    this.#registeredAt = performance.now()
    this.#reason = null
    this.#heartbeat.start()
    this.#parts.onRegistered()
  }

  #complaint({ type, body }: Message): void {
    const said = shown(body['message'] ?? body['reason'] ?? '')
    if (this.#registeredAt === null) this.#reason ??= `it refuses the registration: ${said}`
    this.#faults.note(`a complaint of the server (${shown(type)})`, { said })
  }

  #write(body: Readonly<Record<string, unknown>>): void {
    // A failed write ends the connection by its own event, and what matters is sent again on the next one.
    this.#socket.send(JSON.stringify(body), () => {})
  }

  #note(error: Error): void {
    // Without a wrong word about the server: a refused upgrade may be the other generation's way to say so.
    this.#isOtherGeneration ||= /Unexpected server response: 4\d\d/.test(error.message)
    this.#reason ??= error.message === '' ? String((error as NodeJS.ErrnoException).code) : error.message
  }

  #abandon(reason: string): void {
    this.#reason ??= reason
    this.#socket.terminate()
  }

  #closed(code: number, said: string): void {
    for (const timer of [this.#confirm, this.#closing]) if (timer) clearTimeout(timer)
    // Its answer to our close frame comes behind everything we sent before.
    if (this.#closing && code === CLOSE_GOING_AWAY) this.#heartbeat.answeredAll()
    this.#heartbeat.stop()
    const reason = this.#reason ?? closeReason(code, said)
    const registeredMs = this.#registeredAt === null ? null : performance.now() - this.#registeredAt
    this.#end.resolve({ registeredMs, reason, isOtherGeneration: this.#isOtherGeneration })
  }
}

/** 1005 and 1006 stand for a close frame without a code, and for none at all (RFC 6455 §7.4.1). */
function closeReason(code: number, said: string): string {
  if (code === 1006) return 'the connection broke'
  return `closed by the server: ${code}${said === '' ? '' : ` ${shown(said)}`}`
}
