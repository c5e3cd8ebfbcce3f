import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { KindSpec } from '../src/kinds/kind.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Every kind by id, in the order of COCOON_KINDS. */
    kinds: ReadonlyMap<string, KindSpec>
  }
}

export default plugin(
  async (app: FastifyInstance, options: { readonly kinds: readonly KindSpec[] }) => {
    app.decorate('kinds', new Map(options.kinds.map((kind) => [kind.id, kind])))
  },
  { name: 'kinds' },
)
