import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import type { HiveError } from '../errors.ts'
import { isAcceptedBy } from './handshake.ts'
import { requestHeaders, responseHeaders } from './headers.ts'
import type { OwnOrigins } from './location.ts'
import type { CocoonProxy } from './proxy.ts'
import { type Destination, ownOrigins } from './resolve.ts'
import type { RequestTrace } from './tracer.ts'
import type { TrafficMeter } from './traffic.ts'
import { unreachable, upstreamError, upstreamTimeout } from './upstream-error.ts'

/** How an upgrade that comes to no tunnel is answered. */
export interface PlainAnswers {
  answer(): ServerResponse
  refuse(error: HiveError): void
}

/** Interim answers a cocoon may send before its real one. */
const MAX_INTERIM = 8

/** One upgrade on its way: dialled, asked, and either spliced or answered with what the cocoon said. */
export class UpgradeDial {
  readonly #req: IncomingMessage
  readonly #client: Socket
  readonly #proxy: CocoonProxy
  readonly #trace: RequestTrace | null
  readonly #since: number
  #meter: TrafficMeter | null = null
  #request: ClientRequest | null = null
  #timer: NodeJS.Timeout | null = null
  #forget: () => void = () => undefined
  #settled = false

  /** @param by  `since`: when it came, in milliseconds of the monotonic clock. */
  constructor(
    req: IncomingMessage,
    client: Socket,
    by: { readonly proxy: CocoonProxy; readonly trace: RequestTrace | null; readonly since: number },
  ) {
    this.#req = req
    this.#client = client
    this.#proxy = by.proxy
    this.#trace = by.trace
    this.#since = by.since
  }

  start(to: Destination, plain: PlainAnswers): void {
    const meter = this.#proxy.traffic.of(to.route.kind)
    this.#meter = meter
    const fail = (error: HiveError): void => {
      if (!this.#settle(error.status)) return
      this.#trace?.failed(error)
      this.#request?.destroy()
      plain.refuse(error)
    }
    const request = this.#send(to, fail)
    this.#request = request
    this.#forget = this.#proxy.tunnels.track(to.route, { end: () => fail(unreachable()) })
    this.#client.once('close', this.#onClientClose)
    const own = ownOrigins(to)
    request.on('error', (error) => fail(upstreamError(error)))
    this.#countInterim(request, fail)
    request.once('upgrade', (answer, socket: Socket, head: Buffer) => {
      const headers = isAcceptedBy(this.#req, answer) ? responseHeaders(101, answer.rawHeaders, own) : null
      if (headers === null) {
        socket.destroy()
        return fail(unreachable())
      }
      if (!this.#settle(101)) return socket.destroy()
      this.#trace?.answered(101)
      this.#client.write(switchingHead(this.#req, headers), 'latin1')
      if (head.length > 0) socket.unshift(head)
      const isWebSocket = this.#req.headers.upgrade?.toLowerCase() === 'websocket'
      this.#proxy.tunnels.splice({ ...to.route, isWebSocket, meter }, this.#client, socket)
    })
    request.once('response', (answer) => this.#relay(answer, { own, plain, fail }))
    request.end()
  }

  #send(to: Destination, fail: (error: HiveError) => void): ClientRequest {
    const { limits, verifyToken } = this.#proxy
    const headers = requestHeaders(this.#req, to.facts, verifyToken)
    this.#trace?.sent(to.route, headers)
    headers.push('Connection', 'Upgrade', 'Upgrade', this.#req.headers.upgrade ?? '')
    // RFC 6455 clients must be able to half-close: an end in one direction must not end the other.
    const socket = connect({ ...to.endpoint, allowHalfOpen: true, noDelay: true })
    socket.on('error', destroySelf) // The request reports it; this one holds from birth on.
    this.#arm(limits.connectMs, fail)
    socket.once('connect', () => {
      if (!this.#settled) this.#arm(limits.headersMs, fail)
    })
    return http.request({
      createConnection: () => socket,
      method: this.#req.method ?? 'GET',
      path: to.path,
      headers,
      setHost: false,
      maxHeaderSize: limits.maxHeaderBytes,
    })
  }

  /** The cocoon did not upgrade: the client gets its status, fields and body as an ordinary answer. */
  #relay(answer: IncomingMessage, to: { own: OwnOrigins; plain: PlainAnswers; fail: (e: HiveError) => void }): void {
    const status = answer.statusCode ?? 502
    const headers = responseHeaders(status, answer.rawHeaders, to.own)
    // Node gives a 101 without an Upgrade field as an ordinary answer.
    if (headers === null || status < 200 || status === 407) {
      answer.destroy()
      to.fail(unreachable())
      return
    }
    if (!this.#settle(status)) return
    this.#trace?.answered(status)
    answer.socket.setTimeout(this.#proxy.limits.bodyIdleMs, () => answer.destroy())
    const res = to.plain.answer()
    res.writeHead(status, headers)
    pipeline(answer, res, (error) => {
      if (error) this.#client.destroy()
    })
  }

  #countInterim(request: ClientRequest, fail: (error: HiveError) => void): void {
    let interim = 0
    request.on('information', () => {
      interim += 1
      if (interim > MAX_INTERIM) fail(unreachable())
    })
  }

  #arm(delayMs: number, fail: (error: HiveError) => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => fail(upstreamTimeout()), delayMs)
  }

  readonly #onClientClose = (): void => {
    if (!this.#settle(0)) return
    this.#trace?.failed(null)
    this.#request?.destroy()
  }

  /** The first outcome counts. False = there was one before. Leaves nothing on the client that would keep this alive. */
  #settle(status: number): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#meter?.answered(status, performance.now() - this.#since)
    this.#client.off('close', this.#onClientClose)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#forget()
    return true
  }
}

/** A function of its own: a closure would keep the whole dial alive as long as the tunnel. */
function destroySelf(this: Socket): void {
  this.destroy()
}

function switchingHead(req: IncomingMessage, headers: readonly string[]): string {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${req.headers.upgrade ?? ''}`]
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
