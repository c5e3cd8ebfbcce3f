import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { ATTRIBUTE, type SpanParts, within } from './spans.ts'
import { contextFrom } from './trace-context.ts'
import type { ControlRequest, ControlTrace } from './tracing.ts'

/** A span for a request to the API, named by its route: no name, id or query of the address gets into it. */
export function beginControl({ tracer, cause }: SpanParts, request: ControlRequest): ControlTrace {
  const { headers, method, route } = request
  const attributes = { [ATTRIBUTE.method]: method, [ATTRIBUTE.route]: route }
  const span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, contextFrom(headers))
  const own = within(span)
  return {
    within: (work) => cause.run(own, work),
    end(status) {
      if (status !== null) span.setAttribute(ATTRIBUTE.status, status)
      if (status === null) span.setStatus({ code: SpanStatusCode.ERROR, message: 'the client went away' })
      else if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
  }
}
