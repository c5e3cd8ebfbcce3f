import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ReadTarget } from '../http/request-target.ts'
import type { Secret } from '../secret.ts'
import type { HiveConfig } from '../settings.ts'
import { answerProblem, answerRedirect, drainRest } from './answer.ts'
import { Exchange } from './exchange.ts'
import { requestHeaders, type VerifyToken } from './headers.ts'
import { holdRequest } from './held.ts'
import { PROXY_LIMITS, type ProxyLimits } from './limits.ts'
import { Pools } from './pools.ts'
import { createResolver, type Destination, ownOrigins, type Resolution, type Resolve, statusOf } from './resolve.ts'
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
  const resolve = createResolver({ ...parts, proxyAuth: parts.config.proxyAuth })
  const unsubscribe = parts.routes.onClosed((closed) => closeAttempt(closed, pools, tunnels))
  let draining: NodeJS.Timeout | null = null

  return {
    resolve,
    limits,
    tunnels,
    verifyToken: parts.verifyToken,
    tracer: parts.tracer,
    traffic,
    forward(req, res, instance) {
      const since = performance.now()
      const again = () => resolve(req, false)
      const resolution = again()
      const trace = parts.tracer === null ? null : parts.tracer.begin(req)
      const call = { req, res, instance, trace, since }
      if (resolution.kind !== 'sleeping') return proceed(resolution, call)
      res.on('error', ignore)
      const hold = () => holdRequest(resolution, { req, client: req.socket, limits }, again)
      void (trace === null ? hold() : trace.within(hold)).then((woken) => {
        if (woken !== null) proceed(woken, call)
        else trace?.failed(null)
      })
    },
    close() {
      tunnels.closeAll()
      draining ??= setTimeout(() => pools.closeAll(), limits.drainMs)
    },
    destroy() {
      if (draining !== null) clearTimeout(draining)
      unsubscribe()
      pools.closeAll()
    },
  }

  function proceed(resolution: Exclude<Resolution, { kind: 'sleeping' }>, call: Call): void {
    if (resolution.kind === 'open') send(resolution.destination, call)
    else answer(resolution, call)
  }

  function answer(resolution: Answered, { req, res, instance, trace, since }: Call): void {
    traffic.of(null).answered(statusOf(resolution), performance.now() - since)
    if (resolution.kind === 'redirect') answerRedirect(res, resolution.location)
    else answerProblem(req, res, resolution.error, instance)
    if (trace !== null) sayAnswered(trace, resolution)
    if (hasBody(req)) drainRest(req, limits.lingerMs)
  }

  function send(to: Destination, call: Call): void {
    const { activity, kind } = to.route
    const exchange = new Exchange({ ...call, own: ownOrigins(to), limits, clock, activity, meter: traffic.of(kind) })
    const headers = requestHeaders(call.req, to.facts, parts.verifyToken)
    if (call.trace !== null) call.trace.sent(to.route, headers)
    exchange.start(pools.get(to.route, to.endpoint), { path: to.path, method: call.req.method ?? 'GET', headers })
  }
}

function closeAttempt(closed: { readonly id: string; readonly attempt: number }, pools: Pools, tunnels: Tunnels): void {
  pools.close(closed)
  tunnels.close(closed)
}

/** Also for upgrades, which are resolved likewise. */
export function sayAnswered(trace: RequestTrace, resolution: Answered): void {
  if (resolution.kind === 'redirect') trace.answered(308)
  else trace.failed(resolution.error)
}

function ignore(): void {
  // The client is gone; its 'close' ends the hold.
}
