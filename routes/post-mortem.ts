import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdQuery, PostMortemSchema } from '../src/api/observe-schemas.ts'
import { postMortem } from '../src/api/post-mortem.ts'
import { NameParams, problems } from '../src/schemas.ts'

const schema = {
  operationId: 'getPostMortem',
  summary: 'How a cocoon ended, and what led to it',
  description:
    'Exit, last 200 lines of output, last stats, probes and timeline; the same for all runners, for 24 hours after removal.',
  tags: ['services'],
  params: NameParams,
  querystring: IdQuery,
  response: { 200: PostMortemSchema, ...problems(404) },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/services/:name/post-mortem', { schema }, async (request) => {
    const row = app.findService(request.params.name, request.query.id)
    const { id, attempt } = row.record
    return postMortem(app.services.present(row), {
      log: await app.logs.open(id),
      timeline: async (after) => (await app.events.after(after, id)).events,
      probes: app.services.probesOf(row),
      stats: app.stats.last(id, attempt) ?? row.lastStats ?? null,
    })
  })
}

export default routes
