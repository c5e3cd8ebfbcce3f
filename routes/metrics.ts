import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { problems } from '../src/schemas.ts'

const schema = {
  operationId: 'metrics',
  summary: 'What Hive counts, as Prometheus reads it',
  tags: ['health'],
  produces: ['text/plain'],
  response: { 200: Type.String({ description: 'Exposition format 0.0.4' }), ...problems() },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/metrics', { schema, serializerCompiler: () => String }, async (_request, reply) =>
    reply.header('content-type', app.metrics.contentType).send(await app.metrics.render()),
  )
}

export default routes
