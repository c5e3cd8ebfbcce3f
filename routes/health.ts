import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { SIGNALING_OFF, SIGNALING_STATES, type SignalingState } from '../src/signaling/status.ts'

const Live = Type.Object({ status: Type.Literal('alive') })
const Ready = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('not_ready')]),
  table: Type.Boolean({ description: 'The service table can be written.' }),
  signaling: Type.Object(
    {
      state: Type.Unsafe<SignalingState>(Type.Union(SIGNALING_STATES.map((state) => Type.Literal(state)))),
      generation: Type.Union([Type.Literal(1), Type.Literal(2), Type.Null()], {
        description: 'Of the protocol, spoken or tried.',
      }),
      since: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
      pending: Type.Integer({ minimum: 0, description: 'Requests being worked on.' }),
      unsent: Type.Integer({ minimum: 0, description: 'Results that the server has not confirmed to have.' }),
    },
    { description: 'For information: Hive is ready without its signaling server, too.' },
  ),
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
      const signaling = app.signaling?.status() ?? SIGNALING_OFF
      const ready = table && !app.closing.aborted && runners.every(({ available, needed }) => available || !needed)
      return reply.status(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', table, signaling, runners })
    },
  )
}

export default routes
