import { Type } from 'typebox'

/** Shapes of a service's health and activity. */

const closed = { additionalProperties: false }
const time = () => Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })
const count = () => Type.Integer({ minimum: 0 })
const CheckType = Type.Union([Type.Literal('http'), Type.Literal('tcp'), Type.Literal('cmd')])

export const IdQuery = Type.Object(
  { id: Type.Optional(Type.String({ maxLength: 64, description: 'Only if the service has this id.' })) },
  closed,
)

export const TouchBody = Type.Object(
  { seconds: Type.Number({ minimum: 0, maximum: 604_800, description: 'From now on; 0 gives the lease back.' }) },
  closed,
)

export const HealthAnswer = Type.Object({
  health: Type.Union([
    Type.Literal('none'),
    Type.Literal('starting'),
    Type.Literal('passing'),
    Type.Literal('failing'),
  ]),
  checks: Type.Array(
    Type.Object({
      type: CheckType,
      path: Type.Union([Type.String(), Type.Null()]),
      port: Type.Union([count(), Type.Null()], { description: 'null = the exposed one' }),
      interval_ms: count(),
      timeout_ms: count(),
      retries: count(),
      start_period_ms: count(),
    }),
  ),
  probes: Type.Array(
    Type.Object({
      time: time(),
      check: Type.Integer({ minimum: 0, description: 'Index in checks' }),
      type: CheckType,
      ok: Type.Boolean(),
      ms: count(),
      detail: Type.String(),
    }),
    { description: 'The last 20, oldest first; those of an attempt under way are forgotten when Hive restarts.' },
  ),
})

export const ActivityAnswer = Type.Object({
  idle_timeout_ms: Type.Union([count(), Type.Null()]),
  wake: Type.Boolean({ description: 'The next proxied request starts it again.' }),
  last: Type.Union([
    Type.Object({
      cause: Type.Union([
        Type.Literal('start'),
        Type.Literal('request'),
        Type.Literal('tunnel'),
        Type.Literal('cpu'),
        Type.Literal('touch'),
        Type.Literal('logs'),
        Type.Literal('used'),
      ]),
      time: time(),
    }),
    Type.Null(),
  ]),
  open_requests: Type.Boolean({ description: 'Requests wait for its answer right now.' }),
  log_followers: count(),
  lease_until: Type.Union([time(), Type.Null()]),
  idle_at: Type.Union([time(), Type.Null()], { description: 'When it will be stopped if nothing more happens.' }),
})
