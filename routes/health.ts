import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'

const Live = Type.Object({ status: Type.Literal('alive') })
const Ready = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('not_ready')]),
  table: Type.Boolean({ description: 'The service table can be written.' }),
  runners: Type.Array(
    Type.Object({
      runner: Type.String(),
      available: Type.Boolean(),
      reason: Type.Union([Type.String(), Type.Null()]),
      needed: Type.Boolean({ description: 'A kind uses it.' }),
    }),
  ),
})

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/livez',
    {
      schema: {
        operationId: 'live',
        summary: 'Is the process alive',
        tags: ['health'],
        security: [],
        response: { 200: Live },
      },
    },
    async () => ({ status: 'alive' as const }),
  )

  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'ready',
        summary: 'Is the table open, and does every runner that a kind uses answer',
        tags: ['health'],
        security: [],
        response: { 200: Ready, 503: Ready },
      },
    },
    async (_request, reply) => {
      const used = new Set([...app.kinds.values()].map((kind) => kind.runner_type))
      const runners = [...app.runners.drivers.keys()].map((runner) => ({
        ...app.runners.state(runner),
        needed: used.has(runner),
      }))
      const table = app.serviceTable.healthy
      const ready = table && !app.closing.aborted && runners.every(({ available, needed }) => available || !needed)
      return reply.status(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', table, runners })
    },
  )
}

export default routes
