import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import connections from '../../plugins/connections.ts'
import hostGuard from '../../plugins/host-guard.ts'
import problemDetails from '../../plugins/problem-details.ts'
import proxy from '../../plugins/proxy.ts'
import type { Descriptors } from '../../src/http/descriptors.ts'
import { serverOptions } from '../../src/http/server-options.ts'
import type { ProxyLimits } from '../../src/proxy/limits.ts'
import type { Route, RouteAnswer, RouteTable } from '../../src/proxy/target.ts'
import { Secret } from '../../src/secret.ts'
import type { HiveConfig } from '../../src/settings.ts'

export const HIVE_TOKEN = 'test-token-of-hive'

export const TEST_CONFIG: HiveConfig = Object.freeze({
  host: '127.0.0.1',
  port: 0,
  publicUrl: null,
  allowedHosts: ['hive.test'],
  corsOrigins: [],
  stateDir: '/nonexistent',
  token: null,
  auth: true,
  masterKey: null,
  hiveId: 'test',
  hiveSecret: null,
  signalingUrl: null,
  signalingProtocol: null,
  webhookUrl: null,
  webhookSecret: null,
  tracing: null,
  dockerHosts: [],
  podmanHosts: [],
  cocoonDomain: 'localhost',
  proxyPort: null,
  proxyAuth: 'public',
  maxCocoons: 10,
  maxStarts: 2,
  maxCocoonRequests: 256,
  maxCocoonTunnels: 10_000,
  portRange: { first: 20_000, last: 20_010 },
  uidRange: null,
  registryAuthFile: null,
  keepEndedMs: null,
  stopOnExit: false,
  usesTimeoutMs: 600_000,
  logLevel: 'silent',
  kinds: [],
  policy: { allowHostPaths: [], allow: new Map() },
  warnings: [],
  hostEnvironment: { PATH: null, HOME: null, LANG: null, TZ: null, TMPDIR: null },
})

/** A route table that a test fills by hand. */
export class TestRoutes implements RouteTable {
  readonly #answers = new Map<string, RouteAnswer>()
  readonly #listeners = new Set<(closed: { id: string; attempt: number }) => void>()

  lookup(name: string): RouteAnswer {
    return this.#answers.get(name) ?? { answer: 'unknown' }
  }

  onClosed(listener: (closed: { id: string; attempt: number }) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  set(name: string, answer: RouteAnswer): void {
    this.#answers.set(name, answer)
  }

  open(name: string, port: number, more: Partial<Route> = {}): Route {
    const route: Route = {
      id: `id-of-${name}`,
      attempt: 1,
      name,
      kind: 'test',
      endpoint: { host: '127.0.0.1', port },
      ports: [],
      stripPrefix: true,
      allowOrigins: [],
      activity: null,
      ...more,
    }
    this.set(name, { answer: 'open', route })
    return route
  }

  close(route: Route): void {
    for (const listener of this.#listeners) listener({ id: route.id, attempt: route.attempt })
  }
}

export interface ProxyApp {
  readonly app: FastifyInstance
  readonly routes: TestRoutes
  readonly port: number
}

export interface ProxyAppOptions {
  readonly config?: Partial<HiveConfig>
  readonly limits?: Partial<ProxyLimits>
  readonly descriptors?: Descriptors
}

/** Hive's data plane on a port of its own, with a control route to tell the planes apart: `/control`. */
export async function startProxyApp(t: TestContext, options: ProxyAppOptions = {}): Promise<ProxyApp> {
  const config = { ...TEST_CONFIG, ...options.config }
  const routes = new TestRoutes()
  const app = Fastify({ ...serverOptions(config), logger: false })
  await app.register(problemDetails)
  await app.register(connections, { ...(options.descriptors && { descriptors: options.descriptors }) })
  await app.register(hostGuard, { config })
  await app.register(proxy, {
    routes,
    config,
    verifyToken: (token) => token === HIVE_TOKEN,
    token: new Secret(HIVE_TOKEN),
    limits: { drainMs: 100, lingerMs: 500, ...options.limits },
  })
  app.get('/control', async () => ({ plane: 'control' }))
  app.post('/control', async (request) => ({ body: request.body }))
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, routes, port: (app.server.address() as AddressInfo).port }
}
