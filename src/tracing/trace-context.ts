import type { IncomingHttpHeaders } from 'node:http'
import { type Context, ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { TRACE_PARENT_HEADER, TRACE_STATE_HEADER, W3CTraceContextPropagator } from '@opentelemetry/core'

/** W3C Trace Context (w3.org/TR/trace-context), in and out. */

const propagator = new W3CTraceContextPropagator()

/** The caller's span as a parent; a `traceparent` that is none begins a new trace. */
export function contextFrom(headers: IncomingHttpHeaders): Context {
  return propagator.extract(ROOT_CONTEXT, headers, {
    get: (carrier, key) => carrier[key],
    keys: (carrier) => Object.keys(carrier),
  })
}

/** Puts a span's own context into fields (names and values in turn) instead of what is there. */
export function putContext(fields: string[], span: Span): void {
  let kept = 0
  for (let at = 0; at < fields.length; at += 2) {
    const [name = '', value = ''] = [fields[at], fields[at + 1]]
    if (isTraceField(name)) continue
    fields[kept] = name
    fields[kept + 1] = value
    kept += 2
  }
  fields.length = kept
  propagator.inject(trace.setSpan(ROOT_CONTEXT, span), fields, {
    set: (carrier, key, value) => carrier.push(key, value),
  })
}

function isTraceField(name: string): boolean {
  if (name.length !== TRACE_PARENT_HEADER.length && name.length !== TRACE_STATE_HEADER.length) return false
  const lower = name.toLowerCase()
  return lower === TRACE_PARENT_HEADER || lower === TRACE_STATE_HEADER
}
