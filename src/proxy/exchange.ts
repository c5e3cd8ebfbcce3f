import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { HiveError } from '../errors.ts'
import { answerProblem, drainRest } from './answer.ts'
import type { Seat } from './crowd.ts'
import { responseHeaders } from './headers.ts'
import type { ProxyLimits } from './limits.ts'
import type { OwnOrigins } from './location.ts'
import type { StallClock, Timed } from './stall-clock.ts'
import type { ActivitySink } from './target.ts'
import type { RequestTrace } from './tracer.ts'
import type { TrafficMeter } from './traffic.ts'
import { hasBody, type StalledSide, Upload } from './upload.ts'
import { unreachable, upstreamError, upstreamTimeout } from './upstream-error.ts'
import { cleanReason, cut, textOf } from './wire.ts'
import { bytesPassed } from './young-garbage.ts'

/** Interim answers a cocoon may send before its real one. */
const MAX_INTERIM = 8

export interface ExchangeParts {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly own: OwnOrigins
  readonly limits: ProxyLimits
  readonly clock: StallClock
  /** Told of data both ways; null = nobody asks. */
  readonly activity: ActivitySink | null
  readonly trace: RequestTrace | null
  readonly meter: TrafficMeter
  /** When the request came, in milliseconds of the monotonic clock. */
  readonly since: number
  /** The request id. */
  readonly instance: string
  /** Its place among the cocoon's requests, left when it is over. */
  readonly seat: Seat
}

/**
 * One request on its way to a cocoon and the answer on its way back, both streamed. Exactly one of three things ends
 * it: the whole answer, a failure, or the client going away; each cancels everything else.
 */
export class Exchange implements Dispatcher.DispatchHandler, Timed {
  slot = -1
  readonly #parts: ExchangeParts
  #upload: Upload | null = null
  #controller: Dispatcher.DispatchController | null = null
  /** Until the clock says so, in milliseconds of the monotonic clock; infinite while the upload watches itself. */
  #dueAt = Number.POSITIVE_INFINITY
  /** Data has passed since the clock looked. */
  #moved = false
  #done = false
  #answered = false
  #interim = 0
  #flushed = false
  #bodiless = false
  #listensForDrain = false

  constructor(parts: ExchangeParts) {
    this.#parts = parts
  }

  start(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions): void {
    const { req, res, limits, clock, meter } = this.#parts
    res.on('close', () => this.#clientClosed())
    res.on('error', ignore) // A write that the client no longer takes; 'close' follows and cancels.
    if (hasBody(req)) this.#upload = new Upload(req, limits, { onStalled: (side) => this.#stalled(side), meter })
    else this.#arm(limits.headersMs)
    clock.add(this)
    this.#parts.activity?.begin()
    dispatcher.dispatch({ ...options, body: this.#upload }, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#done) controller.abort(new Error('the client went away'))
  }

  /** The whole request is out. Until now the upload watched the clock. */
  onRequestSent(): void {
    if (this.#upload !== null && !this.#answered) this.#arm(this.#parts.limits.headersMs)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _parsed: unknown, reason?: string): void {
    if (this.#done) return
    if (status < 200) {
      this.#onInterim(status)
    } else if (this.#writeHead(status, textOf(controller.rawHeaders), cleanReason(reason))) {
      this.#headSeen(status)
      if (this.#parts.trace !== null) this.#parts.trace.answered(status)
      this.#arm(this.#parts.limits.bodyIdleMs)
      // Most answers bring their body in the same segment; only a head that stands alone is sent by itself.
      process.nextTick(flushHead, this)
    } else {
      this.#fail(unreachable())
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done || this.#bodiless) return
    this.#moved = true
    const { res, activity, meter } = this.#parts
    activity?.note('request')
    meter.sent(chunk.length)
    bytesPassed(chunk.length)
    this.#flushed = true
    if (res.write(chunk)) return
    controller.pause()
    if (this.#listensForDrain) return
    this.#listensForDrain = true
    res.on('drain', () => this.#drained())
  }

  onResponseEnd(): void {
    if (this.#done) return
    this.#finish(0)
    this.#parts.res.end()
    this.#dropUpload()
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (!this.#done) this.#fail(upstreamError(error))
  }

  flushHead(): void {
    if (this.#done || this.#flushed) return
    this.#flushed = true
    this.#parts.res.flushHeaders()
  }

  look(nowMs: number): void {
    if (this.#moved) {
      this.#moved = false
      this.#dueAt = nowMs + this.#parts.limits.bodyIdleMs
    } else if (nowMs >= this.#dueAt) {
      this.#fail(upstreamTimeout())
    }
  }

  /** False = this head must not reach the client. */
  #writeHead(status: number, raw: readonly string[], reason: string): boolean {
    const { req, res, own } = this.#parts
    const headers = responseHeaders(status, raw, own)
    // RFC 9110 §15.5.8: 407 concerns the proxy's own connection, never the client.
    if (headers === null || status === 407) return false
    this.#bodiless = req.method === 'HEAD' || status === 204 || status === 205 || status === 304
    if (status === 205) headers.push('Content-Length', '0')
    try {
      res.writeHead(status, reason, headers)
      return true
    } catch {
      return false // Node found a character that must not stand in a field, or a status beyond 999.
    }
  }

  #onInterim(status: number): void {
    this.#interim += 1
    // RFC 9110 §15.2.2: Hive never asks for an upgrade here, so 101 is as wrong as a status below 100.
    if (status < 100 || status === 101 || this.#interim > MAX_INTERIM) this.#fail(unreachable())
  }

  #drained(): void {
    if (this.#done) return
    this.#moved = true
    this.#controller?.resume()
  }

  #clientClosed(): void {
    if (this.#done) return
    this.#finish(0)
    this.#parts.trace?.failed(null)
    this.#cancel(new Error('the client went away'))
  }

  #stalled(side: StalledSide): void {
    if (this.#done) return
    this.#fail(
      side === 'client'
        ? new HiveError('HIVE_REQUEST_TIMEOUT', 'The rest of the request did not arrive in time.')
        : upstreamTimeout(),
    )
  }

  #arm(delayMs: number): void {
    this.#dueAt = performance.now() + delayMs
  }

  /** From its start until here the request counts as work under way. */
  #headSeen(status: number): void {
    if (this.#answered) return
    this.#answered = true
    const { activity, meter, since } = this.#parts
    activity?.end()
    meter.answered(status, performance.now() - since)
  }

  /** @param status  of the answer, if its head is not out yet; 0 = there is none. */
  #finish(status: number): void {
    this.#done = true
    this.#parts.seat.leave()
    this.#headSeen(status)
    this.#parts.clock.delete(this)
  }

  #cancel(reason: Error): void {
    this.#upload?.destroy()
    this.#controller?.abort(reason)
  }

  /** Before the head is out the client gets a problem, after it a connection that visibly breaks. */
  #fail(error: HiveError): void {
    if (this.#done) return
    this.#finish(error.status)
    this.#parts.trace?.failed(error)
    this.#cancel(error)
    const { req, res, instance } = this.#parts
    if (res.headersSent) {
      cut(req, res)
      return
    }
    answerProblem(req, res, error, instance)
    this.#dropUpload()
  }

  #dropUpload(): void {
    if (this.#upload === null) return
    this.#upload.destroy()
    drainRest(this.#parts.req, this.#parts.limits.lingerMs)
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead()
}

function ignore(): void {
  // See where it is attached.
}
