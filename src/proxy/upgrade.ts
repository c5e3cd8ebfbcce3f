import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { HiveError } from '../errors.ts'
import { answerUnderWay } from '../http/under-way.ts'
import { answerProblem, answerRedirect } from './answer.ts'
import type { Seat } from './crowd.ts'
import { refuseHandshake } from './handshake.ts'
import { holdRequest } from './held.ts'
import { type CocoonProxy, sayAnswered } from './proxy.ts'
import { nameOf, type Resolution, statusOf } from './resolve.ts'
import type { RequestTrace } from './tracer.ts'
import { UpgradeDial } from './upgrade-dial.ts'

/** Says whether a request may be served at all: the raw and host guards that plain requests pass too. */
export type RefuseRequest = (req: IncomingMessage) => HiveError | null

/**
 * Owns the one `upgrade` listener of a server: dials the cocoon, relays its real answer, and splices the sockets only
 * after it said 101. Whatever is not for a cocoon is refused.
 *
 * @returns  A function that gives the listener up.
 */
export function attachUpgrade(server: Server, proxy: CocoonProxy, refuse: RefuseRequest): () => void {
  const onUpgrade = (req: IncomingMessage, client: Socket, head: Buffer): void => {
    // First of all: without it a reset would be an uncaught error and end the process.
    client.on('error', () => client.destroy())
    // Sent right behind a request whose answer is still under way: a second one cannot have its place on the wire.
    if (answerUnderWay(client) !== null) {
      client.destroy()
      return
    }
    // What came with the handshake is the first thing the cocoon must read (RFC 6455 allows early data).
    if (head.length > 0) client.unshift(head)
    upgrade(req, client, { proxy, refuse })
  }
  server.on('upgrade', onUpgrade)
  return () => {
    server.off('upgrade', onUpgrade)
  }
}

function upgrade(req: IncomingMessage, client: Socket, by: { proxy: CocoonProxy; refuse: RefuseRequest }): void {
  const since = performance.now()
  const refused = by.refuse(req) ?? refuseHandshake(req)
  const again = () => by.proxy.resolve(req, true)
  const { proxy } = by
  const resolution: Resolution = refused === null ? seated(again(), client, proxy) : { kind: 'refused', error: refused }
  const trace = proxy.tracer === null ? null : proxy.tracer.begin(req)
  if (resolution.kind !== 'sleeping') {
    proceed(req, client, { proxy, resolution, trace, since })
    return
  }
  const hold = () => holdRequest(resolution, { req, client, by: proxy }, again)
  void (trace === null ? hold() : trace.within(hold)).then((woken) => {
    if (woken !== null) proceed(req, client, { proxy, resolution: woken, trace, since })
    else trace?.failed(null)
  })
}

/** Takes a place among the cocoon's tunnels for as long as the client is connected. */
function seated(resolution: Resolution, client: Socket, { admission }: CocoonProxy): Resolution {
  if (resolution.kind !== 'open' && resolution.kind !== 'sleeping') return resolution
  const seat = admission.tunnel(nameOf(resolution))
  if (seat instanceof HiveError) return { kind: 'refused', error: seat }
  leaveWith(client, seat)
  return resolution
}

/** A function of its own: a closure in a bigger one would keep the whole request alive as long as the tunnel. */
function leaveWith(client: Socket, seat: Seat): void {
  client.once('close', () => seat.leave())
}

interface Decided {
  readonly proxy: CocoonProxy
  readonly resolution: Exclude<Resolution, { kind: 'sleeping' }>
  readonly trace: RequestTrace | null
  readonly since: number
}

function proceed(req: IncomingMessage, client: Socket, { proxy, resolution, trace, since }: Decided): void {
  if (resolution.kind !== 'open') proxy.traffic.of(null).answered(statusOf(resolution), performance.now() - since)
  if (trace !== null && resolution.kind !== 'open') sayAnswered(trace, resolution)
  if (resolution.kind === 'refused') {
    answerRefusal(req, client, resolution.error)
  } else if (resolution.kind === 'redirect') {
    answerRedirect(plainAnswer(req, client), resolution.location)
  } else {
    new UpgradeDial(req, client, { proxy, trace, since }).start(resolution.destination, {
      answer: () => plainAnswer(req, client),
      refuse: (error) => answerRefusal(req, client, error),
    })
  }
}

function answerRefusal(req: IncomingMessage, client: Socket, error: HiveError): void {
  const res = plainAnswer(req, client)
  // RFC 6455 §4.4: a version that is not spoken is answered with those that are.
  if (req.headers['sec-websocket-version'] !== undefined) res.setHeader('Sec-WebSocket-Version', '13')
  answerProblem(req, res, error, randomUUID())
}

/** An ordinary answer on a socket that Node has already handed over; the connection ends with it. */
function plainAnswer(req: IncomingMessage, client: Socket): ServerResponse {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.on('error', () => client.destroy())
  res.on('finish', () => client.destroySoon())
  res.assignSocket(client)
  return res
}
