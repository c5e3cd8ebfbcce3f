import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { HiveError } from '../src/errors.ts'
import { problems, ServiceRef, SpawnBody, SpawnQuery } from '../src/schemas.ts'
import type { SpawnRequest } from '../src/services/spawn.ts'
import { isHopeless, isReady } from '../src/services/waiting.ts'

const RETRY_AFTER_S = 1

const schema = {
  operationId: 'spawn',
  summary: 'Spawn a cocoon of a kind',
  description:
    'Answers once the record is durable (202). With wait=ready: 201 when it is ready, 202 if not in time, 424 if it cannot be any more. The same request_id again: 200 and what has become of it. Of a key that stands twice in the body the last one counts.',
  tags: ['services'],
  querystring: SpawnQuery,
  body: SpawnBody,
  response: { 200: ServiceRef, 201: ServiceRef, 202: ServiceRef, ...problems(409, 413, 415, 422, 424, 507) },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/spawn', { schema }, async (request, reply) => {
    const spawned = await app.supervisor.spawn(readBody(request.body))
    let row = spawned.row
    if (request.query.wait === 'ready')
      row = await app.waitFor(request, row, { for: 'ready', ms: (request.query.timeout_s ?? 60) * 1000 })
    const service = app.services.present(row)
    reply.header('location', `/services/${service.name}`).header('etag', `"${service.revision}"`)
    if (request.query.wait === 'ready' && spawned.created && isHopeless(row))
      throw new HiveError('HIVE_START_FAILED', service.error?.detail ?? 'it ended before it was ready', {
        extra: { service },
      })
    if (!spawned.created) return reply.status(200).send(service)
    if (request.query.wait === 'ready' && isReady(row)) return reply.status(201).send(service)
    if (request.query.wait === 'ready') reply.header('retry-after', String(RETRY_AFTER_S))
    return reply.status(202).send(service)
  })
}

function readBody(body: SpawnBody): SpawnRequest {
  const { kind, name, request_id: requestId, setup_token: setupToken, environment, labels } = body
  return { kind, name, requestId, setupToken, environment, labels }
}

export default routes
