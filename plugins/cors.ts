import type { FastifyInstance, FastifyReply } from 'fastify'
import plugin from 'fastify-plugin'
import { isCocoonTarget, targetReader } from '../src/http/request-target.ts'
import type { HiveConfig } from '../src/settings.ts'

export interface CorsOptions {
  readonly config: HiveConfig
}

/**
 * Lets the pages of HIVE_CORS_ORIGINS call the control API (WHATWG Fetch, "CORS protocol"); without that setting no
 * answer carries a field of it. Credentials stay out: the token is sent by the page itself. What cocoons answer is
 * theirs.
 */
export default plugin(
  async (app: FastifyInstance, { config }: CorsOptions) => {
    const origins = new Set(config.corsOrigins)
    if (origins.size === 0) return
    const readTarget = targetReader(config)
    app.addHook('onRequest', (request, reply, done) => {
      if (isCocoonTarget(readTarget(request.raw))) return done()
      reply.header('vary', 'Origin')
      const { origin = '' } = request.headers
      if (!origins.has(origin)) return done()
      reply.header('access-control-allow-origin', origin)
      const wanted = request.headers['access-control-request-method']
      if (request.method === 'OPTIONS' && wanted !== undefined) return void answerPreflight(reply)
      reply.header('access-control-expose-headers', 'ETag, Location, Retry-After')
      return done()
    })
  },
  { name: 'cors', dependencies: ['host-guard'] },
)

function answerPreflight(reply: FastifyReply): void {
  reply
    .status(204)
    .header('access-control-allow-methods', 'GET, POST, DELETE')
    .header('access-control-allow-headers', 'Authorization, Content-Type, If-Match')
    .header('access-control-max-age', '600')
    .send()
}
