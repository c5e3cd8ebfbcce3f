import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { HiveError } from '../src/errors.ts'
import { NameParams, problems, ServiceRef } from '../src/schemas.ts'
import { ActivityAnswer, HealthAnswer, IdQuery, TouchBody } from '../src/schemas-life.ts'

const healthSchema = {
  operationId: 'getHealth',
  summary: 'What the health checks of a cocoon say, with the last 20 probes',
  tags: ['services'],
  params: NameParams,
  querystring: IdQuery,
  response: { 200: HealthAnswer, ...problems(404) },
}

const activitySchema = {
  operationId: 'getActivity',
  summary: 'What kept a cocoon alive last, and when it will be stopped as idle',
  tags: ['services'],
  params: NameParams,
  querystring: IdQuery,
  response: { 200: ActivityAnswer, ...problems(404) },
}

const touchSchema = {
  operationId: 'touchService',
  summary: 'Keep a cocoon from being stopped as idle for some seconds',
  description: 'A lease: it outlives a restart of Hive, and a later touch replaces it, by a shorter one, too.',
  tags: ['services'],
  params: NameParams,
  querystring: IdQuery,
  body: TouchBody,
  response: { 200: ServiceRef, ...problems(404, 409, 410) },
}

/** How a cocoon is, what keeps it alive, and a way to keep it alive. */
const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/services/:name/health', { schema: healthSchema }, async (request) => {
    const row = app.findService(request.params.name, request.query.id)
    const { record, config } = row
    const checks = config.healthChecks.map((check) => ({
      type: check.type,
      path: check.type === 'http' ? check.path : null,
      port: check.port,
      interval_ms: check.intervalMs,
      timeout_ms: check.timeoutMs,
      retries: check.retries,
      start_period_ms: check.startPeriodMs,
    }))
    return { health: record.health, checks, probes: [...app.services.probesOf(row)] }
  })

  app.get('/services/:name/activity', { schema: activitySchema }, async (request) =>
    app.services.describeActivity(app.findService(request.params.name, request.query.id)),
  )

  app.post('/services/:name/touch', { schema: touchSchema }, async (request) => {
    const row = app.findService(request.params.name, request.query.id)
    if (row.record.state === 'removed')
      throw new HiveError('HIVE_COCOON_GONE', 'spawn a new one', { extra: { service: app.services.present(row) } })
    if (row.config.idleTimeoutMs === null)
      throw new HiveError('HIVE_STATE_CONFLICT', 'its kind has no idle_timeout, so it is never stopped as idle')
    return app.services.present(await app.supervisor.touch(row.record.id, request.body.seconds))
  })
}

export default routes
