import { type TSchema, Type } from 'typebox'

/** Parts of a service's record. */

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const count = () => Type.Integer({ minimum: 0 })

const Use = Type.Object({
  name: Type.String(),
  service: nullable(Type.String()),
  service_id: nullable(Type.String()),
  host: nullable(Type.String({ description: 'Where the cocoon itself reaches it.' })),
  port: nullable(count()),
})

export const Progress = Type.Object({
  phase: Type.Union([Type.Literal('pull'), Type.Literal('files')]),
  message: Type.String(),
  current_bytes: nullable(count()),
  total_bytes: nullable(count()),
  layers_done: nullable(count()),
  layers_total: nullable(count()),
})

export const Uses = Type.Optional(
  Type.Array(Use, { description: 'Only if its kind uses something: where it has it from; null = from nowhere yet.' }),
)
