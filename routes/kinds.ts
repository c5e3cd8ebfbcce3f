import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { HiveError } from '../src/errors.ts'
import type { KindSpec } from '../src/kinds/kind.ts'
import { redactKind } from '../src/kinds/redact.ts'
import { type KindOnWire, KindPage, KindParams, KindRef, problems } from '../src/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const present = (kind: KindSpec): KindOnWire => {
    const { available, reason, isolated, containment } = app.runners.describe(kind)
    return { ...redactKind(kind), available, reason, isolated, containment }
  }

  app.get(
    '/kinds',
    {
      schema: {
        operationId: 'listKinds',
        summary: 'All kinds',
        tags: ['kinds'],
        response: { 200: KindPage, ...problems() },
      },
    },
    async () => ({ kinds: [...app.kinds.values()].map(present) }),
  )

  app.get(
    '/kinds/:id',
    {
      schema: {
        operationId: 'getKind',
        summary: 'One kind',
        tags: ['kinds'],
        params: KindParams,
        response: { 200: KindRef, ...problems(404) },
      },
    },
    async (request) => {
      const kind = app.kinds.get(request.params.id)
      if (!kind) throw new HiveError('HIVE_NOT_FOUND', 'GET /kinds lists the kinds there are')
      return present(kind)
    },
  )
}

export default routes
