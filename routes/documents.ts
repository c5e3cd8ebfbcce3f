import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** The OpenAPI document and its reader, where a browser is led from `/`: all open, all from this process alone. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema: { hide: true } }, async ({ url }, reply) => {
    // The router takes the target `*` for a `/`.
    if (!url.startsWith('/')) return reply.callNotFound()
    return reply.redirect('/docs', 302)
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { validatorUrl: null } })
}

export default routes
