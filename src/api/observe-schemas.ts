import { Type } from 'typebox'

/** Shapes of the calls that watch cocoons: logs, events, post-mortems. */

const closed = { additionalProperties: false }
const id = Type.Optional(Type.String({ maxLength: 64, description: 'Only if the service has this id.' }))

export const LogsQuery = Type.Object(
  {
    id,
    tail: Type.Optional(Type.Integer({ minimum: 0, description: 'Only that many of the last lines.' })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'Only lines with a higher seq.' })),
    since: Type.Optional(Type.String({ format: 'date-time', description: 'Only lines of this time or later.' })),
    follow: Type.Optional(Type.Boolean({ description: 'Go on as long as the cocoon may write.' })),
  },
  closed,
)

export const LogText = Type.String({
  description:
    'Per line {seq, time, stream, line}, where it applies with partial (no line feed followed), ' +
    'dropped (bytes of output lost there) or marker ("gap", "slow").',
})
