import http, { type Server } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { createDataPlane } from '../src/http/data-plane.ts'
import { requestGuard } from '../src/http/guard.ts'
import { targetReader } from '../src/http/request-target.ts'
import { WrongTokens } from '../src/http/wrong-tokens.ts'
import type { ProxyLimits } from '../src/proxy/limits.ts'
import { type CocoonProxy, createProxy } from '../src/proxy/proxy.ts'
import type { RouteTable } from '../src/proxy/target.ts'
import { attachUpgrade } from '../src/proxy/upgrade.ts'
import type { Secret } from '../src/secret.ts'
import type { HiveConfig } from '../src/settings.ts'

export interface ProxyOptions {
  readonly routes: RouteTable
  readonly config: HiveConfig
  readonly verifyToken: (token: string) => boolean
  /** The control token, from which per-cocoon cookies are derived; null = cookies open nothing. */
  readonly token?: Secret | null
  readonly limits?: Partial<ProxyLimits>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The data plane's own listener, not listening yet; null = cocoons are served on the control plane's. */
    readonly dataPlane: Server | null
  }
}

/** Every method Node can read, except CONNECT, which it closes by itself. */
const METHODS = http.METHODS.filter((method) => method !== 'CONNECT')

/** Mounts the cocoons: `ANY /cocoons/:name[:port]/*`, upgrades, and the data plane's own listener if there is one. */
export default plugin(
  async (app: FastifyInstance, options: ProxyOptions) => {
    const readTarget = targetReader(options.config)
    const tracer = app.tracing?.proxy ?? null
    const traffic = app.hasDecorator('metrics') ? app.metrics.traffic : undefined
    const wrongTokens = app.hasDecorator('wrongTokens') ? app.wrongTokens : new WrongTokens()
    const { maxCocoonRequests: maxRequests, maxCocoonTunnels: maxTunnels } = options.config
    const limits = { maxRequests, maxTunnels, ...options.limits }
    const proxy = createProxy({
      ...options,
      descriptors: app.descriptors,
      limits,
      token: options.token ?? null,
      wrongTokens,
      tracer,
      traffic,
      readTarget,
    })
    const dataPlane = options.config.proxyPort === null ? null : createDataPlane(app.routing)
    if (dataPlane !== null) app.connections.watch(dataPlane)
    app.decorate('dataPlane', dataPlane)
    for (const server of [app.server, dataPlane]) {
      if (server !== null) attachUpgrade(server, proxy, requestGuard(readTarget))
    }
    await app.register((scope: FastifyInstance) => mount(scope, proxy))
    app.addHook('preClose', (done) => {
      proxy.close()
      dataPlane?.close()
      done()
    })
    app.addHook('onClose', (_app, done) => {
      proxy.destroy()
      done()
    })
  },
  { name: 'proxy', dependencies: ['host-guard', 'connections'] },
)

/**
 * @fastify/http-proxy declares the routes. Forwarding starts at the first hook instead of its handler, which decodes
 * and rebuilds the address, drops bodies of GET, and retries.
 */
async function mount(scope: FastifyInstance, proxy: CocoonProxy): Promise<void> {
  for (const method of METHODS) {
    if (!scope.supportedMethods.includes(method)) scope.addHttpMethod(method, { hasBody: true })
  }
  // 3 addresses times 33 methods without a schema would drown the document.
  scope.addHook('onRoute', (route) => {
    route.schema = { ...route.schema, hide: true }
  })
  scope.addHook('onRequest', (request, reply) => {
    reply.hijack()
    proxy.forward(request.raw, reply.raw, request.id)
  })
  await scope.register(httpProxy, {
    prefix: '/cocoons/:name',
    upstream: '',
    httpMethods: METHODS,
    replyOptions: { getUpstream: unreachableHandler },
    // Its own client is never used; an object with request() keeps it from making one.
    undici: { request: unreachableHandler },
  })
}

function unreachableHandler(): never {
  throw new Error('a proxied request must have been taken over before the handler')
}
