import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { HiveError } from '../src/errors.ts'
import { DeleteQuery, ListQuery, NameParams, problems, ServicePage, ServiceRef, ShowQuery } from '../src/schemas.ts'
import { SERVICE_STATES, type ServiceState } from '../src/services/state/record.ts'

/** A DELETE waits for the grace and a little more, but never longer than this. */
const DELETE_WAIT_MS = 30_000
const AFTER_GRACE_MS = 2_000

const listSchema = {
  operationId: 'listServices',
  summary: 'All services, ended ones included',
  tags: ['services'],
  querystring: ListQuery,
  response: { 200: ServicePage, ...problems() },
}

const showSchema = {
  operationId: 'getService',
  summary: 'One service, now or once it is as awaited',
  tags: ['services'],
  params: NameParams,
  querystring: ShowQuery,
  response: { 200: ServiceRef, ...problems(404, 410) },
}

const deleteSchema = {
  operationId: 'deleteService',
  summary: 'Stop and remove a cocoon, whatever state it is in',
  description: '200 with the final record, or 202 if it is still going. Repeating it is safe.',
  tags: ['services'],
  params: NameParams,
  querystring: DeleteQuery,
  response: { 200: ServiceRef, 202: ServiceRef, ...problems(404, 507) },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/services',
    {
      schema: listSchema,
    },
    async (request) => {
      const { kind, state, label, limit = 100, cursor = null, include } = request.query
      const filter = { kind, states: statesOf(state), labels: labelsOf(label), includeRemoved: include === 'removed' }
      const { services, nextCursor } = app.services.list(filter, limit, cursor)
      return { services, next_cursor: nextCursor }
    },
  )

  app.get(
    '/services/:name',
    {
      schema: showSchema,
    },
    async (request, reply) => {
      const { id, wait, timeout_s = 60 } = request.query
      let row = app.findService(request.params.name, id)
      if (wait !== undefined) row = await app.waitFor(request, row, { for: wait, ms: timeout_s * 1000 })
      const service = app.services.present(row)
      if (service.state === 'removed')
        throw new HiveError('HIVE_COCOON_GONE', 'this is its final record, kept for 24 hours', { extra: { service } })
      return reply.header('etag', `"${service.revision}"`).send(service)
    },
  )

  app.delete(
    '/services/:name',
    {
      schema: deleteSchema,
    },
    async (request, reply) => {
      const { id, wait, volumes = false } = request.query
      let row = app.findService(request.params.name, id)
      if (row.record.state !== 'removed') {
        row = await app.supervisor.intend(row.record.id, { desired: 'removed', by: 'api', volumes })
        const ms = Math.min(row.config.stopGraceMs + AFTER_GRACE_MS, DELETE_WAIT_MS)
        if (wait !== 'none') row = await app.waitFor(request, row, { for: 'gone', ms })
      }
      return reply.status(row.record.state === 'removed' ? 200 : 202).send(app.services.present(row))
    },
  )
}

function statesOf(text: string | undefined): readonly ServiceState[] | undefined {
  if (text === undefined) return undefined
  return text.split(',').map((state) => {
    const known = SERVICE_STATES.find((one) => one === state.trim())
    if (!known) throw new HiveError('HIVE_REQUEST_INVALID', `state must be one of ${SERVICE_STATES.join(', ')}`)
    return known
  })
}

function labelsOf(given: string | readonly string[] | undefined): Readonly<Record<string, string>> {
  const pairs = [given ?? []].flat().map((text) => {
    const at = text.indexOf('=')
    if (at < 1) throw new HiveError('HIVE_REQUEST_INVALID', 'label must be written key=value')
    return [text.slice(0, at), text.slice(at + 1)] as const
  })
  return Object.fromEntries(pairs)
}

export default routes
