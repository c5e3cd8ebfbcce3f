import { Type } from 'typebox'
import { SERVICE_STATES } from './services/state/record.ts'

/** Shape of GET /exposed. */

const Address = Type.Union([Type.Object({ host: Type.String(), port: Type.Integer({ minimum: 0 }) }), Type.Null()])

const member = {
  service: Type.String(),
  id: Type.String({ format: 'uuid' }),
  kind: Type.String(),
  state: Type.Union(SERVICE_STATES.map((state) => Type.Literal(state))),
}

export const ExposedAnswer = Type.Object({
  exposed: Type.Array(
    Type.Object({
      name: Type.String(),
      kinds: Type.Array(Type.String(), { description: 'Empty if only cocoons of an earlier configuration expose it.' }),
      secret: Type.Boolean({ description: 'Whether whoever uses it must give a secret.' }),
      vars: Type.Array(Type.String(), { description: 'Names of the variables it gives; never a value.' }),
      providers: Type.Array(
        Type.Object({
          ...member,
          healthy: Type.Boolean({ description: 'Whether it can be used right now.' }),
          address: Address,
        }),
      ),
      consumers: Type.Array(
        Type.Object({
          ...member,
          provider: Type.Union([Type.String(), Type.Null()], { description: 'null = it waits.' }),
          address: Address,
        }),
      ),
    }),
  ),
})
