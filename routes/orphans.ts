import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from 'typebox'
import { problems } from '../src/schemas.ts'
import { findOrphans, type OrphanReport, type ReapReport, reapOrphans } from '../src/services/duties/orphans.ts'

const FIND_LIMIT_MS = 15_000
const REAP_LIMIT_MS = 60_000

const closed = { additionalProperties: false }
const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const orphan = {
  runner: Type.Union([Type.Literal('docker'), Type.Literal('podman'), Type.Literal('script')]),
  id: Type.String({ description: 'The id of the service it was made for.' }),
  name: Type.String(),
  attempt: Type.Integer(),
  running: Type.Boolean(),
  created_at: nullable(Type.String()),
}
const unasked = Type.Array(Type.Object({ runner: Type.String(), reason: Type.String() }), {
  description: 'Runners that did not answer: nothing is known of what they hold.',
})
const Orphans = Type.Unsafe<OrphanReport>(Type.Object({ orphans: Type.Array(Type.Object(orphan)), unasked }))
const Reaped = Type.Unsafe<ReapReport>(
  Type.Object({
    reaped: Type.Array(Type.Object(orphan)),
    kept: Type.Array(Type.Object({ ...orphan, reason: Type.String() }), { description: 'Still there, and why.' }),
    unasked,
  }),
)
const text = Type.String({ minLength: 1, maxLength: 64 })
const ReapQuery = Type.Object(
  {
    id: Type.Optional(
      Type.Union([text, Type.Array(text, { maxItems: 1000 })], { description: 'Only these; left out, all of them.' }),
    ),
    volumes: Type.Optional(Type.Boolean({ description: 'Their named volumes, too.' })),
  },
  closed,
)

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const parts = () => ({ view: app.services, drivers: app.runners.drivers.values() })
  const limit = (ms: number) => AbortSignal.any([app.closing, AbortSignal.timeout(ms)])

  app.get(
    '/orphans',
    {
      schema: {
        operationId: 'listOrphans',
        summary: 'What carries this Hive’s mark and belongs to no service',
        description: 'Asks every runner now and changes nothing: what `POST /orphans/reap` would remove.',
        tags: ['services'],
        response: { 200: Orphans, ...problems() },
      },
    },
    async () => findOrphans(parts(), limit(FIND_LIMIT_MS)),
  )

  app.post(
    '/orphans/reap',
    {
      schema: {
        operationId: 'reapOrphans',
        summary: 'Stop and remove orphans',
        description: 'Only what `GET /orphans` lists; things of other Hives and of nobody are never touched.',
        tags: ['services'],
        querystring: ReapQuery,
        response: { 200: Reaped, ...problems() },
      },
    },
    async (request) => {
      const { id, volumes = false } = request.query
      const ids = id === undefined ? null : [id].flat()
      const report = await reapOrphans(parts(), { ids, volumes }, limit(REAP_LIMIT_MS))
      for (const each of report.reaped) request.log.warn({ reqId: request.id, orphan: each }, 'an orphan was removed')
      return report
    },
  )
}

export default routes
