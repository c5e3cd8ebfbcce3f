import type { IncomingMessage, ServerResponse } from 'node:http'
import { HiveError } from '../errors.ts'
import type { Descriptors } from '../http/descriptors.ts'
import type { ReadTarget } from '../http/request-target.ts'
import type { WrongTokens } from '../http/wrong-tokens.ts'
import type { Secret } from '../secret.ts'
import type { HiveConfig } from '../settings.ts'
import { Admission } from './admission.ts'
import { answerProblem, answerRedirect, drainRest } from './answer.ts'
import type { Seat } from './crowd.ts'
import { Exchange } from './exchange.ts'
import { requestHeaders, type VerifyToken } from './headers.ts'
import { holdRequest, type Sleeping } from './held.ts'
import { PROXY_LIMITS, type ProxyLimits } from './limits.ts'
import { Pools } from './pools.ts'
import { createResolver, type Destination, nameOf, type Resolution, type Resolve, statusOf } from './resolve.ts'
import { StallClock } from './stall-clock.ts'
import type { RouteTable } from './target.ts'
import type { ProxyTracer, RequestTrace } from './tracer.ts'
import { type Traffic, UNMETERED } from './traffic.ts'
import { Tunnels } from './tunnels.ts'
import { hasBody } from './upload.ts'

export interface ProxyParts {
  readonly routes: RouteTable
  readonly config: HiveConfig
  readonly verifyToken: VerifyToken
  /** The control token, from which per-cocoon cookies are derived; null = cookies open nothing. */
  readonly token: Secret | null
  readonly wrongTokens: WrongTokens
  readonly descriptors: Descriptors
  readonly readTarget: ReadTarget
  readonly limits?: Partial<ProxyLimits>
  /** null = nobody traces. */
  readonly tracer: ProxyTracer | null
  /** Counts what passes; absent = nobody does. */
  readonly traffic?: Traffic | undefined
}

/** The data plane: one look-up per request, then streams. */
export interface CocoonProxy {
  readonly resolve: Resolve
  readonly limits: ProxyLimits
  readonly tunnels: Tunnels
  readonly admission: Admission
  /** Aborts when Hive ends: nothing is held from then on. */
  readonly closing: AbortSignal
  readonly verifyToken: VerifyToken
  readonly tracer: ProxyTracer | null
  readonly traffic: Traffic
  /** Answers one request in full. `instance` is the request id. */
  forward(req: IncomingMessage, res: ServerResponse, instance: string): void
  /** Ends the tunnels now and every exchange still under way after the drain time. */
  close(): void
  /** Releases what is left; to be called when the listeners are closed. */
  destroy(): void
}

interface Call {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The request id. */
  readonly instance: string
  readonly trace: RequestTrace | null
  /** When it came, in milliseconds of the monotonic clock. */
  readonly since: number
}

type Answered = Extract<Resolution, { kind: 'redirect' | 'refused' }>

export function createProxy(parts: ProxyParts): CocoonProxy {
  const limits = Object.freeze({ ...PROXY_LIMITS, ...parts.limits })
  const pools = new Pools(limits)
  const tunnels = new Tunnels(limits)
  const clock = new StallClock([limits.headersMs, limits.bodyIdleMs])
  const traffic = parts.traffic ?? UNMETERED
  const admission = new Admission(limits, parts.descriptors)
  const resolve = createResolver({ ...parts, proxyAuth: parts.config.proxyAuth })
  const unsubscribe = closeWithAttempts(parts.routes, [pools, tunnels])
  const closing = new AbortController()
  let draining: NodeJS.Timeout | null = null

  return {
    resolve,
    limits,
    tunnels,
    admission,
    closing: closing.signal,
    verifyToken: parts.verifyToken,
    tracer: parts.tracer,
    traffic,
    forward(req, res, instance) {
      const since = performance.now()
      const resolution = resolve(req, false)
      const trace = parts.tracer === null ? null : parts.tracer.begin(req)
      const call = { req, res, instance, trace, since }
      if (resolution.kind === 'refused' || resolution.kind === 'redirect') return answer(resolution, call)
      const seat = admission.request(nameOf(resolution))
      if (seat instanceof HiveError) return answer({ kind: 'refused', error: seat }, call)
      if (resolution.kind === 'open') return send(resolution.destination, call, seat)
      void held(resolution, call, { limits, resolve, closing: closing.signal }).then((woken) => {
        if (woken?.kind === 'open') return send(woken.destination, call, seat)
        seat.leave()
        if (woken !== null) answer(woken, call)
        else trace?.failed(null)
      })
    },
    close() {
      closing.abort()
      tunnels.closeAll()
      draining ??= setTimeout(() => pools.closeAll(), limits.drainMs)
    },
    destroy() {
      if (draining !== null) clearTimeout(draining)
      unsubscribe()
      pools.closeAll()
    },
  }

  function answer(resolution: Answered, call: Call): void {
    traffic.of(null).answered(statusOf(resolution), performance.now() - call.since)
    answerAs(resolution, call, limits)
  }

  function send(to: Destination, call: Call, seat: Seat): void {
    const { activity, kind } = to.route
    const exchange = new Exchange({ ...call, own: to.own, limits, clock, activity, meter: traffic.of(kind), seat })
    const headers = requestHeaders(call.req, to.facts, parts.verifyToken)
    if (call.trace !== null) call.trace.sent(to.route, headers)
    exchange.start(pools.get(to.route, to.endpoint), { path: to.path, method: call.req.method ?? 'GET', headers })
  }
}

/** Returns the unsubscriber. */
function closeWithAttempts(routes: RouteTable, all: readonly [Pools, Tunnels]): () => void {
  return routes.onClosed((closed) => {
    for (const one of all) one.close(closed)
  })
}

type Holding = Pick<CocoonProxy, 'limits' | 'resolve' | 'closing'>

function held(sleeping: Sleeping, { req, res, trace }: Call, by: Holding) {
  res.on('error', ignore)
  const hold = () => holdRequest(sleeping, { req, client: req.socket, by }, () => by.resolve(req, false))
  return trace === null ? hold() : trace.within(hold)
}

function answerAs(resolution: Answered, { req, res, instance, trace }: Call, limits: ProxyLimits): void {
  if (resolution.kind === 'redirect') answerRedirect(res, resolution.location)
  else answerProblem(req, res, resolution.error, instance)
  if (trace !== null) sayAnswered(trace, resolution)
  if (hasBody(req)) drainRest(req, limits.lingerMs)
}

/** Also for upgrades, which are resolved likewise. */
export function sayAnswered(trace: RequestTrace, resolution: Answered): void {
  if (resolution.kind === 'redirect') trace.answered(308)
  else trace.failed(resolution.error)
}

function ignore(): void {
  // The client is gone; its 'close' ends the hold.
}
