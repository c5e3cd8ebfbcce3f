import { type Static, type TSchema, Type } from 'typebox'
import type { KindSpec } from './kinds/kind.ts'
import { Progress, Uses } from './schemas-record.ts'
import { SERVICE_STATES, type ServiceRecord } from './services/state/record.ts'

/** Shapes shared by routes. Everything that comes in is closed: unknown fields are refused, bodies are not coerced. */

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const time = () => Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })
const count = (description?: string) => Type.Integer({ minimum: 0, ...(description && { description }) })
const closed = { additionalProperties: false }
// C1 as well (terminals take U+009B for ESC [), and what ends lines for some readers.
const NO_CONTROL = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$'
const NO_NUL = '^[^\\u0000]*$'

export const SpawnBody = Type.Object(
  {
    type: Type.Optional(Type.Literal('spawn_cocoon', { description: 'The seed’s message type; may be left out.' })),
    kind: Type.String({ minLength: 1, maxLength: 63, description: 'Id of a kind, see GET /kinds.' }),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'A DNS label; left out, Hive makes one: cocoon-<8 hex>.',
      }),
    ),
    request_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        pattern: NO_CONTROL,
        description: 'The same id again answers with the same cocoon, never a second one.',
      }),
    ),
    setup_token: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 8192,
        pattern: NO_NUL,
        description: 'Reaches the cocoon as COCOON_SETUP_TOKEN; never shown again.',
      }),
    ),
    environment: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' }),
        Type.String({ maxLength: 32_768, pattern: NO_NUL }),
        {
          ...closed,
          maxProperties: 128,
          description: 'Variables that the kind accepts (accept_environment). Values are never shown again.',
        },
      ),
    ),
    labels: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$' }),
        Type.String({ maxLength: 256, pattern: NO_CONTROL }),
        { ...closed, maxProperties: 32 },
      ),
    ),
  },
  { ...closed, examples: [{ kind: 'native', name: 'worker-1', request_id: 'req-123' }] },
)
export type SpawnBody = Static<typeof SpawnBody>

const timeout_s = Type.Optional(
  Type.Number({ minimum: 0, maximum: 3600, default: 60, description: 'Seconds to wait at most.' }),
)

export const SpawnQuery = Type.Object(
  { wait: Type.Optional(Type.Union([Type.Literal('ready'), Type.Literal('none')])), timeout_s },
  closed,
)

export const NameParams = Type.Object({ name: Type.String({ maxLength: 128 }) }, closed)
export const KindParams = Type.Object({ id: Type.String({ maxLength: 128 }) }, closed)

const id = Type.Optional(Type.String({ maxLength: 64, description: 'Only if the service has this id.' }))

export const ShowQuery = Type.Object(
  {
    id,
    wait: Type.Optional(
      Type.Union([Type.Literal('ready'), Type.Literal('running'), Type.Literal('stopped'), Type.Literal('gone')]),
    ),
    timeout_s,
  },
  closed,
)

export const ChangeQuery = Type.Object(
  {
    id,
    wait: Type.Optional(
      Type.Union([Type.Literal('ready'), Type.Literal('running'), Type.Literal('stopped'), Type.Literal('none')]),
    ),
    timeout_s,
    recreate: Type.Optional(
      Type.Boolean({ description: 'Make a new container instead of starting the old one again.' }),
    ),
  },
  closed,
)

/** Not closed: a request has further header fields. */
export const ChangeHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({ maxLength: 1024, description: 'Change it only if this is still its ETag (RFC 9110 §13.1.1).' }),
  ),
})

export const DeleteQuery = Type.Object(
  {
    id,
    wait: Type.Optional(Type.Union([Type.Literal('none'), Type.Literal('gone')])),
    volumes: Type.Optional(Type.Boolean({ description: 'Remove its named volumes, too.' })),
  },
  closed,
)

export const ListQuery = Type.Object(
  {
    kind: Type.Optional(Type.String({ maxLength: 63 })),
    state: Type.Optional(Type.String({ maxLength: 200, description: 'One state, or several with commas.' })),
    label: Type.Optional(
      Type.Union([Type.String({ maxLength: 320 }), Type.Array(Type.String({ maxLength: 320 }), { maxItems: 32 })], {
        description: 'key=value; given several times, all must match.',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
    cursor: Type.Optional(Type.String({ maxLength: 256, pattern: '^[A-Za-z0-9_-]*$' })),
    include: Type.Optional(Type.Literal('removed')),
  },
  closed,
)

const Exit = Type.Object({
  code: Type.Integer({ description: 'Shell convention: 128 + n for signal n.' }),
  signal: nullable(Type.String()),
  reason: Type.String(),
  oom: Type.Boolean(),
})

/** Registered once under its `$id`; routes refer to it. */
export const ServiceSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    fqn: Type.String(),
    name: Type.String(),
    kind: Type.String(),
    runner: Type.Union([Type.Literal('docker'), Type.Literal('podman'), Type.Literal('script')]),
    state: Type.Union(SERVICE_STATES.map((state) => Type.Literal(state))),
    desired: Type.Union([Type.Literal('running'), Type.Literal('stopped'), Type.Literal('removed')]),
    health: Type.Union([
      Type.Literal('none'),
      Type.Literal('starting'),
      Type.Literal('passing'),
      Type.Literal('failing'),
    ]),
    ready: Type.Boolean(),
    attempt: count(),
    restarts: count(),
    pid: nullable(count()),
    container_id: nullable(Type.String()),
    image: nullable(Type.String()),
    url: nullable(Type.String()),
    origin_url: nullable(Type.String()),
    ports: Type.Array(
      Type.Object({ port: count(), host: Type.String(), host_port: count(), protocol: Type.Literal('tcp') }),
    ),
    labels: Type.Record(Type.String(), Type.String()),
    request_id: Type.String(),
    created_at: time(),
    started_at: nullable(time()),
    ready_at: nullable(time()),
    ended_at: nullable(time()),
    expires_at: nullable(time()),
    idle_at: nullable(time()),
    observed_at: nullable(time()),
    exit: nullable(Exit),
    error: nullable(Type.Object({ code: Type.String(), detail: Type.String() })),
    next_attempt_at: nullable(time()),
    progress: nullable(Progress),
    timings: Type.Object({
      queued_ms: nullable(count()),
      pull_ms: nullable(count()),
      create_ms: nullable(count()),
      start_ms: nullable(count()),
      ready_ms: nullable(count()),
    }),
    uses: Uses,
    revision: count('Raised by every durable change; also the ETag.'),
  },
  { $id: 'Service' },
)

export const KindSchema = Type.Object(
  {
    id: Type.String(),
    runner_type: Type.String(),
    runner_config: Type.Record(Type.String(), Type.Unknown()),
    image: Type.String({ description: 'Docker or podman image, else empty.' }),
    available: Type.Boolean(),
    reason: nullable(Type.String({ description: 'Why it is not available, and the mend.' })),
    isolated: Type.Boolean(),
    containment: Type.String(),
  },
  { $id: 'Kind' },
)

/** RFC 9457. Further members, such as `service`, are allowed. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'urn:hive:problem:<code>' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String(),
    code: Type.String(),
    errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
  },
  { $id: 'Problem', additionalProperties: true },
)

export const ServiceRef = Type.Unsafe<ServiceRecord>({ $ref: 'Service#' })
export const KindRef = Type.Unsafe<KindOnWire>({ $ref: 'Kind#' })
export const ProblemRef = Type.Unsafe<unknown>({ $ref: 'Problem#' })

export type KindOnWire = Pick<KindSpec, 'id' | 'runner_config' | 'image'> & {
  readonly runner_type: string
  readonly available: boolean
  readonly reason: string | null
  readonly isolated: boolean
  readonly containment: string
}

export const ServicePage = Type.Object({ services: Type.Array(ServiceRef), next_cursor: nullable(Type.String()) })
export const KindPage = Type.Object({ kinds: Type.Array(KindRef) })

/** The answers every controlled route may give besides its own. */
export function problems(...statuses: readonly number[]): Record<number, TSchema> {
  return Object.fromEntries([...statuses, 400, 401, 421, 429, 500, 503].map((status) => [status, ProblemRef]))
}
