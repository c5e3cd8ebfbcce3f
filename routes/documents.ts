import swagger, { type StaticDocumentSpec } from '@fastify/swagger'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'

/** The OpenAPI document and its reader, where a browser is led from `/`: all open, all from this process alone. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema: { hide: true } }, async ({ url }, reply) => {
    // The router takes the target `*` for a `/`.
    if (!url.startsWith('/')) return reply.callNotFound()
    return reply.redirect('/docs', 302)
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())

  let reader: Promise<FastifyInstance> | null = null
  for (const path of ['/docs', '/docs/*'])
    app.get(path, { schema: { hide: true } }, async ({ url, headers }, reply) => {
      reader ??= openReader({ document: app.swagger() as StaticDocumentSpec['document'] }).catch((error) => {
        reader = null // the next visitor tries again
        throw error
      })
      const answer = await (await reader).inject({ url, headers })
      if (answer.statusCode === 404) return reply.callNotFound()
      // Those of its own connection, which there is none of.
      const { connection, date, 'transfer-encoding': _, ...described } = answer.headers
      return reply.code(answer.statusCode).headers(described).send(answer.rawPayload)
    })
}

/** The reader as an app of its own, made for its first visitor: hardly anybody comes, and each start would wait for it. */
async function openReader(specification: StaticDocumentSpec): Promise<FastifyInstance> {
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  const app = Fastify({ exposeHeadRoutes: false })
  await app.register(swagger, { mode: 'static', specification })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { validatorUrl: null } })
  await app.ready()
  return app
}

export default routes
