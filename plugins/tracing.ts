import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Logger } from 'pino'
import type { Clock } from '../src/services/context.ts'
import type { HiveConfig } from '../src/settings.ts'
import type { Tracing } from '../src/tracing/tracing.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** null = nothing is traced. */
    readonly tracing: Tracing | null
  }
}

export interface TracingOptions {
  readonly config: HiveConfig
  readonly version: string
  readonly instanceId: string
  readonly clock: Clock
  readonly log: Logger
}

/** Loads the SDK only when there is somebody to send spans to. Closed after the services, which still make some. */
export default plugin(
  async (app: FastifyInstance, { config, ...parts }: TracingOptions) => {
    const { tracing: settings } = config
    if (settings === null) {
      app.decorate('tracing', null)
      return
    }
    const { openTracing } = await import('../src/tracing/open.ts')
    const tracing = openTracing({ ...parts, settings })
    app.decorate('tracing', tracing)
    app.addHook('onClose', () => tracing.close())
  },
  { name: 'tracing' },
)

/** Scraped all the time, and never the cause of anything. */
const UNTRACED = ['/metrics']

/** Makes spans of the requests to a scope's routes, whatever they cause included. */
export function traceRoutes(scope: FastifyInstance, tracing: Tracing | null): void {
  if (tracing === null) return
  const traces = new WeakMap<object, ReturnType<Tracing['control']>>()
  scope.addHook('onRequest', (request, reply, done) => {
    const { url: route } = request.routeOptions
    if (route === undefined || UNTRACED.includes(route)) return done()
    const trace = tracing.control({ headers: request.headers, method: request.method, route })
    traces.set(request, trace)
    // Who follows a log leaves in the middle of the answer: that is how it ends.
    reply.raw.once('close', () => trace.end(reply.raw.headersSent ? reply.raw.statusCode : null))
    return done()
  })
  // Not earlier: while a body arrives, what runs is called by its connection.
  scope.addHook('preHandler', (request, _reply, done) => {
    const trace = traces.get(request)
    if (trace === undefined) done()
    else trace.within(done)
  })
}
