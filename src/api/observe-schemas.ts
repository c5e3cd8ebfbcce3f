import { Type } from 'typebox'
import { SINCE_FORMS } from '../logs/since.ts'
import { ServiceRef } from '../schemas.ts'
import type { PostMortem } from './post-mortem.ts'
import { StatsSampleSchema } from './stats-schema.ts'

/** Shapes of the calls that watch cocoons: logs, events, post-mortems. */

const closed = { additionalProperties: false }
const id = Type.Optional(Type.String({ maxLength: 64, description: 'Only if the service has this id.' }))

export const LogsQuery = Type.Object(
  {
    id,
    tail: Type.Optional(Type.Integer({ minimum: 0, description: 'Only that many of the last lines.' })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'Only lines with a higher seq.' })),
    since: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: `Only lines of this time or later: ${SINCE_FORMS}.`,
        examples: ['10m', '2026-01-31T12:00:00Z'],
      }),
    ),
    follow: Type.Optional(Type.Boolean({ description: 'Go on as long as the cocoon may write.' })),
  },
  closed,
)

export const LogText = Type.String({
  description:
    'Per line {seq, time, stream, line}, where it applies with partial (no line feed followed), ' +
    'dropped (bytes of output lost there) or marker ("gap", "slow").',
})

const list = (description: string) => Type.Optional(Type.String({ maxLength: 1000, description }))

export const EventsQuery = Type.Object(
  {
    name: list('One service name, or several with commas.'),
    kind: list('One kind, or several with commas.'),
    type: list('state, intent, health, pull, restart, exit, config, signaling: one, or several with commas.'),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'As Last-Event-ID; 0 = all that is kept.' })),
  },
  closed,
)

export const EventText = Type.String({
  description: 'Server-sent events; data is {seq, at, type, service: {id, name, kind, attempt} or null, data}.',
})

export const IdQuery = Type.Object({ id }, closed)

const open = () => Type.Object({}, { additionalProperties: true })

export const PostMortemSchema = Type.Unsafe<PostMortem>(
  Type.Object({
    service: ServiceRef,
    exit: Type.Union([open(), Type.Null()], { description: 'code, signal, reason, oom' }),
    error: Type.Union([open(), Type.Null()]),
    log: Type.Array(open(), { description: 'The last 200 lines, as GET /services/:name/logs gives them.' }),
    probes: Type.Array(open()),
    stats: Type.Union([StatsSampleSchema, Type.Null()], { description: 'The last sample of the last attempt.' }),
    timeline: Type.Array(open(), { description: 'Events, as GET /events gives them.' }),
  }),
)
