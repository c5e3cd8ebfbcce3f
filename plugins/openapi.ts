import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { type ApiDocument, completeDocument } from '../src/api/document.ts'
import { KindSchema, ProblemSchema, ServiceSchema } from '../src/schemas.ts'

export interface OpenApiOptions {
  readonly version: string
}

/** Collects the route schemas into one OpenAPI 3.1 document; registered before the routes it is to see. */
export default plugin(
  async (app: FastifyInstance, options: OpenApiOptions) => {
    for (const schema of [ServiceSchema, KindSchema, ProblemSchema]) app.addSchema(schema)
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Hive',
          version: options.version,
          description:
            'Spawns cocoons (containers or native processes) by kind, keeps them alive and serves each under its own address. The cocoons themselves answer below /cocoons/{name}/ with any method: what they say there is theirs, not described here.',
        },
        components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
        security: [{ token: [] }],
        tags: [
          { name: 'services', description: 'The durable records of cocoons' },
          { name: 'kinds', description: 'The recipes' },
          { name: 'health', description: 'Is Hive alive, is it ready' },
        ],
      },
      transform: ({ schema, url }) => ({
        schema: url.startsWith('/cocoons/') ? { ...schema, hide: true } : schema,
        url,
      }),
      transformObject: (document) =>
        'openapiObject' in document ? completeDocument(document.openapiObject as ApiDocument) : document.swaggerObject,
      refResolver: { buildLocalReference: (json, _base, _fragment, at) => String(json['$id'] ?? `schema-${at}`) },
    })
  },
  { name: 'openapi' },
)
