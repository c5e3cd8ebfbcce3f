export interface HeartbeatActions {
  readonly ping: (payload: string) => void
  readonly onDead: () => void
}

/**
 * Pings on one WebSocket: regular ones that find a dead link within two rounds, and receipts. A pong echoes its ping's
 * payload and may answer several pings at once (RFC 6455 §5.5.3), so payloads are numbers that only grow.
 */
export class Heartbeat {
  readonly #everyMs: number
  readonly #actions: HeartbeatActions
  #receipts: { readonly number: number; readonly done: () => void }[] = []
  #timer: NodeJS.Timeout | null = null
  #sent = 0
  #isQueued = false
  #isHeard = true

  constructor(everyMs: number, actions: HeartbeatActions) {
    this.#everyMs = everyMs
    this.#actions = actions
  }

  start(): void {
    this.#timer = setInterval(() => this.#beat(), this.#everyMs)
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.#receipts = []
  }

  /** Anything that arrives shows that the link lives. */
  heard(): void {
    this.#isHeard = true
  }

  answered(payload: Buffer): void {
    this.heard()
    const text = payload.toString('latin1')
    const number = /^\d{1,15}$/.test(text) ? Number(text) : 0
    if (number <= this.#sent) this.#release(number)
  }

  /** The peer has shown in another way that it has read all there was. */
  answeredAll(): void {
    this.#release(this.#sent + 1)
  }

  /** Calls back when the peer has answered a ping sent after now. Many callers at once share one ping. */
  whenAnswered(done: () => void): void {
    this.#receipts.push({ number: this.#sent + 1, done })
    if (this.#isQueued) return
    this.#isQueued = true
    setImmediate(() => {
      this.#isQueued = false
      this.#ping()
    })
  }

  #beat(): void {
    if (this.#isHeard) {
      this.#isHeard = false
      this.#ping()
    } else {
      this.#actions.onDead()
    }
  }

  #ping(): void {
    if (this.#timer === null) return
    this.#sent += 1
    this.#actions.ping(String(this.#sent))
  }

  #release(number: number): void {
    const done = this.#receipts.filter((receipt) => receipt.number <= number)
    this.#receipts = this.#receipts.filter((receipt) => receipt.number > number)
    for (const receipt of done) receipt.done()
  }
}
