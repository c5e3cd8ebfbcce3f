import type { IncomingMessage } from 'node:http'
import { type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { HiveError } from '../errors.ts'
import type { Route } from '../proxy/target.ts'
import type { ProxyTracer, RequestTrace } from '../proxy/tracer.ts'
import { ATTRIBUTE, type SpanParts, within } from './spans.ts'
import { contextFrom, putContext } from './trace-context.ts'

/** One pattern for every address of every cocoon: what a cocoon serves is not Hive's to name. */
const ROUTE = '/cocoons/:name/*'
const LONGEST_PATH = 1024

/** Told when a cocoon's answer begins, with the span of the request. */
export type OnFirstByte = (route: Route, span: Span) => void

/** Spans of requests to cocoons, up to the first byte of the answer. */
export function proxyTracer(parts: SpanParts, onFirstByte: OnFirstByte): ProxyTracer {
  return { begin: (req) => new ProxySpan(parts, onFirstByte, req) }
}

class ProxySpan implements RequestTrace {
  readonly #parts: SpanParts
  readonly #onFirstByte: OnFirstByte
  readonly #span: Span
  #route: Route | null = null
  #ended = false

  constructor(parts: SpanParts, onFirstByte: OnFirstByte, req: IncomingMessage) {
    this.#parts = parts
    this.#onFirstByte = onFirstByte
    const method = req.method ?? 'GET'
    const attributes = {
      [ATTRIBUTE.method]: method,
      [ATTRIBUTE.route]: ROUTE,
      [ATTRIBUTE.path]: pathOf(req.url ?? '/'),
    }
    const options = { kind: SpanKind.SERVER, attributes }
    this.#span = parts.tracer.startSpan(`${method} ${ROUTE}`, options, contextFrom(req.headers))
  }

  sent(route: Route, headers: string[]): void {
    this.#route = route
    const { name, id, kind, attempt } = route
    this.#span.setAttributes({
      [ATTRIBUTE.service]: name,
      [ATTRIBUTE.id]: id,
      [ATTRIBUTE.kind]: kind,
      [ATTRIBUTE.attempt]: attempt,
    })
    putContext(headers, this.#span)
  }

  answered(status: number): void {
    if (this.#ended) return
    this.#span.setAttribute(ATTRIBUTE.status, status)
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR })
    this.#end()
    if (this.#route !== null) this.#onFirstByte(this.#route, this.#span)
  }

  failed(error: HiveError | null): void {
    if (this.#ended) return
    if (error !== null) this.#span.setAttributes({ [ATTRIBUTE.status]: error.status, [ATTRIBUTE.error]: error.code })
    if (error === null) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: 'the client went away' })
    else if (error.status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR })
    this.#end()
  }

  within<T>(work: () => T): T {
    return this.#parts.cause.run(within(this.#span), work)
  }

  #end(): void {
    this.#ended = true
    this.#span.end()
  }
}

/** Queries carry keys and personal data. */
function pathOf(url: string): string {
  return url.split(/[?#]/, 1)[0]?.slice(0, LONGEST_PATH) ?? '/'
}
