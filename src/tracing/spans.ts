import type { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, ROOT_CONTEXT, type Span, type Tracer, trace } from '@opentelemetry/api'

/** What makes spans, and what a piece of work belongs to. */
export interface SpanParts {
  readonly tracer: Tracer
  /** The span that caused what runs now; nothing global, so that two Hives in one process do not mix. */
  readonly cause: AsyncLocalStorage<Context>
}

/** Hive's own attributes, in one place. */
export const ATTRIBUTE = {
  service: 'hive.service.name',
  id: 'hive.service.id',
  kind: 'hive.kind',
  runner: 'hive.runner',
  attempt: 'hive.attempt',
  requestId: 'hive.request_id',
  by: 'hive.intent.by',
  state: 'hive.state',
  error: 'error.type',
  method: 'http.request.method',
  route: 'http.route',
  status: 'http.response.status_code',
  path: 'url.path',
} as const

export function within(span: Span): Context {
  return trace.setSpan(ROOT_CONTEXT, span)
}
