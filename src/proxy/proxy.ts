import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ReadTarget } from '../http/request-target.ts'
import type { Secret } from '../secret.ts'
import type { HiveConfig } from '../settings.ts'
import { answerProblem, answerRedirect, drainRest } from './answer.ts'
import { Exchange } from './exchange.ts'
import { requestHeaders, type VerifyToken } from './headers.ts'
import { holdRequest } from './held.ts'
import { PROXY_LIMITS, type ProxyLimits } from './limits.ts'
import { authorityOf, Pools } from './pools.ts'
import { createResolver, type Destination, type Resolution, type Resolve } from './resolve.ts'
import type { RouteTable } from './target.ts'
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
}

/** The data plane: one look-up per request, then streams. */
export interface CocoonProxy {
  readonly resolve: Resolve
  readonly limits: ProxyLimits
  readonly tunnels: Tunnels
  readonly verifyToken: VerifyToken
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
}

type Answered = Extract<Resolution, { kind: 'redirect' | 'refused' }>

export function createProxy(parts: ProxyParts): CocoonProxy {
  const limits = Object.freeze({ ...PROXY_LIMITS, ...parts.limits })
  const pools = new Pools(limits)
  const tunnels = new Tunnels(limits)
  const resolve = createResolver({ ...parts, proxyAuth: parts.config.proxyAuth })
  const unsubscribe = parts.routes.onClosed((closed) => {
    pools.close(closed)
    tunnels.close(closed)
  })
  let draining: NodeJS.Timeout | null = null

  return {
    resolve,
    limits,
    tunnels,
    verifyToken: parts.verifyToken,
    forward(req, res, instance) {
      const again = () => resolve(req, false)
      const resolution = again()
      if (resolution.kind === 'open') return send(resolution.destination, { req, res, instance })
      if (resolution.kind !== 'sleeping') return answer(resolution, { req, res, instance })
      res.on('error', ignore)
      void holdRequest(resolution, { req, client: req.socket, limits }, again).then((woken) => {
        if (woken?.kind === 'open') send(woken.destination, { req, res, instance })
        else if (woken !== null) answer(woken, { req, res, instance })
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

  function answer(resolution: Answered, { req, res, instance }: Call): void {
    if (resolution.kind === 'redirect') answerRedirect(res, resolution.location)
    else answerProblem(req, res, resolution.error, instance)
    if (hasBody(req)) drainRest(req, limits.lingerMs)
  }

  function send(to: Destination, call: Call): void {
    const own = { prefix: to.prefix, authority: to.facts.authority, upstream: authorityOf(to.endpoint) }
    const exchange = new Exchange({ ...call, own, limits, activity: to.route.activity })
    exchange.start(pools.get(to.route, to.endpoint), {
      path: to.path,
      method: call.req.method ?? 'GET',
      headers: requestHeaders(call.req, to.facts, parts.verifyToken),
    })
  }
}

function ignore(): void {
  // The client is gone; its 'close' ends the hold.
}
