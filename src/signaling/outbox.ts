import type { Logger } from 'pino'
import { keyOf, type Ledger } from './ledger.ts'
import type { Result } from './request.ts'

/** A registered connection, as far as results are concerned. */
export interface ResultLine {
  send(result: Result): void
  /** Calls back once the server has everything that was sent before; never, if the connection breaks first. */
  whenReceived(done: () => void): void
}

/**
 * Results on their way. The protocol has no receipt, so one is made of what every WebSocket server does: answer a ping
 * (RFC 6455 §5.5.3). A pong to a ping sent behind a result proves that the result arrived; without it the result is
 * sent again on the next connection. So none is lost, and one comes twice only when the link broke in between.
 */
export class Outbox {
  readonly #ledger: Ledger
  readonly #log: Logger
  readonly #results = new Map<string, Result>()
  readonly #settling = new Set<Promise<void>>()
  #line: ResultLine | null = null

  constructor(ledger: Ledger, log: Logger) {
    this.#ledger = ledger
    this.#log = log
  }

  get size(): number {
    return this.#results.size
  }

  add(result: Result): void {
    const key = keyOf(result)
    this.#results.delete(key)
    this.#results.set(key, result)
    if (this.#line) this.#send(this.#line, result)
  }

  /** Everything not yet received goes out, in the order it came about. */
  attach(line: ResultLine): void {
    this.#line = line
    for (const result of [...this.#results.values()]) this.#send(line, result)
  }

  detach(): void {
    this.#line = null
  }

  /** Resolves when the ledger knows of every receipt so far. */
  async settled(): Promise<void> {
    await Promise.all(this.#settling)
  }

  #send(line: ResultLine, result: Result): void {
    line.send(result)
    line.whenReceived(() => this.#received(result))
  }

  #received(result: Result): void {
    const key = keyOf(result)
    // A later result of the same request has its own receipt.
    if (this.#results.get(key) !== result) return
    this.#results.delete(key)
    const settling = this.#ledger
      .settle(key)
      .catch((err: unknown) =>
        this.#log.warn({ err }, 'signaling: a receipt could not be kept; its result may come again'),
      )
      .finally(() => this.#settling.delete(settling))
    this.#settling.add(settling)
  }
}
