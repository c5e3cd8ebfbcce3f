import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { IdQuery } from '../src/api/observe-schemas.ts'
import { StatsAnswer } from '../src/api/stats-schema.ts'
import { HiveError } from '../src/errors.ts'
import { NameParams, problems } from '../src/schemas.ts'

const schema = {
  operationId: 'getStats',
  summary: 'What a cocoon uses, now and in the last ten minutes',
  description: 'Answered from memory: an engine that does not answer costs samples, never time.',
  tags: ['services'],
  params: NameParams,
  querystring: IdQuery,
  response: { 200: StatsAnswer, ...problems(404, 410) },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/services/:name/stats', { schema }, async (request) => {
    const row = app.findService(request.params.name, request.query.id)
    const { id, attempt, state } = row.record
    if (state === 'removed')
      throw new HiveError('HIVE_COCOON_GONE', 'its last sample is in GET /services/:name/post-mortem', {
        extra: { service: app.services.present(row) },
      })
    return {
      current: app.stats.current(id, attempt),
      history: [...app.stats.history(id)],
      interval_ms: app.stats.intervalMs,
    }
  })
}

export default routes
