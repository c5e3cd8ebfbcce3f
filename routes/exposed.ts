import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static } from 'typebox'
import { listExposed } from '../src/exposure/listing.ts'
import { problems } from '../src/schemas.ts'
import { ExposedAnswer } from '../src/schemas-exposed.ts'

const schema = {
  operationId: 'listExposed',
  summary: 'What cocoons expose to each other: who provides it, who uses it',
  tags: ['services'],
  response: { 200: ExposedAnswer, ...problems() },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/exposed', { schema }, async () => {
    const kinds = app.kinds.values()
    const { exposure } = app
    const exposed = listExposed({ kinds, exposers: exposure.exposers(), consumers: exposure.consumers() })
    return { exposed } as unknown as Static<typeof ExposedAnswer>
  })
}

export default routes
