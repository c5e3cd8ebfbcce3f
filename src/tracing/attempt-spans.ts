import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
} from '@opentelemetry/api'
import type { Clock } from '../services/context.ts'
import { isActive, type ServiceRow } from '../services/state/record.ts'
import { ATTRIBUTE, type SpanParts, within } from './spans.ts'

/** An attempt from asked for to ready, and then until its first answer. */
interface Followed {
  readonly attempt: number
  readonly span: Span
  readonly context: Context
  /** When its phases began that have no end yet; epoch milliseconds. */
  readonly since: { preparing: number | null; launched: number | null }
  /** Epoch milliseconds; null = not yet. */
  readyAt: number | null
}

/**
 * Spans of attempts, told by their durable rows alone: `spawn` for the first, `attempt` for each later one, linked to
 * the first, with a span for each phase below it. The times are those of the record.
 */
export class AttemptSpans {
  readonly #parts: SpanParts
  readonly #clock: Clock
  readonly #followed = new Map<string, Followed>()
  /** The spawn of each service, to which later attempts link. */
  readonly #origins = new Map<string, SpanContext>()
  /** What asked for the attempt that is owed. */
  readonly #causes = new Map<string, Context>()

  constructor(parts: SpanParts, clock: Clock) {
    this.#parts = parts
    this.#clock = clock
  }

  changed(row: ServiceRow, previous: ServiceRow | null): void {
    const { id, state, attempt } = row.record
    if (previous !== null && row.targetAttempt > previous.targetAttempt) this.#remember(row)
    if (state === 'requested' && previous?.record.attempt !== attempt) this.#begin(row)
    const followed = this.#followed.get(id)
    if (followed?.attempt === attempt && followed.readyAt === null) this.#follow(followed, row, previous)
    if (state === 'removed') for (const known of [this.#followed, this.#origins, this.#causes]) known.delete(id)
  }

  /** The first answer of an attempt is on its way; `asked` is the span of the request. */
  firstByte(id: string, attempt: number, asked: SpanContext): void {
    const followed = this.#followed.get(id)
    if (followed?.attempt !== attempt || followed.readyAt === null) return
    this.#followed.delete(id)
    const options = { startTime: followed.readyAt, links: [{ context: asked }] }
    this.#parts.tracer.startSpan('first_byte', options, followed.context).end(this.#now())
  }

  /** Ends what is under way: it goes on without this process. */
  close(): void {
    for (const { span, readyAt } of this.#followed.values()) if (readyAt === null) span.end(this.#now())
    this.#followed.clear()
  }

  /** Only somebody's own wish belongs to a request: work that goes on by itself may still run in an old one's name. */
  #remember({ record: { id }, intent: { by } }: ServiceRow): void {
    const cause = this.#parts.cause.getStore()
    if (cause !== undefined && (by === 'api' || by === 'wake')) this.#causes.set(id, cause)
    else this.#causes.delete(id)
  }

  #begin(row: ServiceRow): void {
    const { id, attempt } = row.record
    const first = attempt === 1
    const cause = first ? this.#parts.cause.getStore() : this.#causes.get(id)
    const origin = this.#origins.get(id)
    const startTime = Date.parse(row.attemptAt)
    const options = { startTime, attributes: attributesOf(row), links: origin ? [{ context: origin }] : [] }
    this.#causes.delete(id)
    this.#leave(id)
    const span = this.#parts.tracer.startSpan(first ? 'spawn' : 'attempt', options, cause ?? ROOT_CONTEXT)
    if (first) this.#origins.set(id, span.spanContext())
    const since = { preparing: null, launched: null }
    this.#followed.set(id, { attempt, span, context: within(span), since, readyAt: null })
  }

  #leave(id: string): void {
    const left = this.#followed.get(id)
    if (left?.readyAt === null) left.span.end(this.#now())
  }

  #follow(followed: Followed, row: ServiceRow, previous: ServiceRow | null): void {
    const { state, attempt } = row.record
    if (state === 'preparing') followed.since.preparing ??= this.#now()
    if (state === 'starting' && previous?.record.state !== 'starting') this.#prepared(followed, row)
    if (row.launchedAttempt === attempt && previous?.launchedAttempt !== attempt) this.#launched(followed, row)
    if (state === 'running') this.#ready(followed, row)
    else if (!isActive(state) || state === 'stopping') this.#ended(followed, row)
  }

  #prepared({ context, since }: Followed, row: ServiceRow): void {
    const { queued_ms, pull_ms } = row.record.timings
    const asked = Date.parse(row.attemptAt)
    const taken = asked + (queued_ms ?? 0)
    this.#phase('queued', context, [asked, taken])
    if (pull_ms !== null) this.#phase('pull', context, [taken, taken + pull_ms])
    since.preparing = null
  }

  #launched({ context, since }: Followed, row: ServiceRow): void {
    const { create_ms, start_ms } = row.record.timings
    const end = this.#now()
    const started = end - (start_ms ?? 0)
    if (create_ms !== null) this.#phase('create', context, [started - create_ms, started])
    this.#phase('start', context, [started, end])
    since.launched = end
  }

  #ready(followed: Followed, row: ServiceRow): void {
    const { ready_at, started_at } = row.record
    const readyAt = ready_at === null ? this.#now() : Date.parse(ready_at)
    const from = started_at === null ? (followed.since.launched ?? readyAt) : Date.parse(started_at)
    this.#phase('ready', followed.context, [Math.min(from, readyAt), readyAt])
    followed.readyAt = readyAt
    followed.span.end(readyAt)
  }

  /** It will not be ready any more: the phase in which that happened ends with it. */
  #ended({ context, since, span }: Followed, row: ServiceRow): void {
    const { id, state, error, runner } = row.record
    const now = this.#now()
    const failed = state !== 'stopping' && state !== 'stopped'
    if (since.preparing !== null && runner !== 'script') this.#phase('pull', context, [since.preparing, now], failed)
    if (since.launched !== null) this.#phase('ready', context, [since.launched, now], failed)
    span.setAttribute(ATTRIBUTE.state, state)
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
    if (failed && error !== null) span.setAttribute(ATTRIBUTE.error, error.code)
    span.end(now)
    this.#followed.delete(id)
  }

  #phase(name: string, context: Context, [from, to]: readonly [number, number], failed = false): void {
    const span = this.#parts.tracer.startSpan(name, { startTime: from }, context)
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(to)
  }

  #now(): number {
    return this.#clock.now().getTime()
  }
}

function attributesOf({ record, intent }: ServiceRow): Attributes {
  const { name, id, kind, runner, attempt, request_id } = record
  return {
    [ATTRIBUTE.service]: name,
    [ATTRIBUTE.id]: id,
    [ATTRIBUTE.kind]: kind,
    [ATTRIBUTE.runner]: runner,
    [ATTRIBUTE.attempt]: attempt,
    [ATTRIBUTE.requestId]: request_id,
    [ATTRIBUTE.by]: intent.by,
  }
}
