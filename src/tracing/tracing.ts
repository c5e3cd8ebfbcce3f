import type { IncomingHttpHeaders } from 'node:http'
import type { ProxyTracer } from '../proxy/tracer.ts'
import type { ServiceRow } from '../services/state/record.ts'

/** All that the rest of Hive knows of tracing. Off = there is none of these, and nothing behind it is loaded. */
export interface Tracing {
  readonly proxy: ProxyTracer
  /** A request to the API has come. */
  control(request: ControlRequest): ControlTrace
  /** A service has a new durable row; `previous` null = it is new. */
  readonly serviceChanged: (row: ServiceRow, previous: ServiceRow | null) => void
  /** Sends what is there, for at most two seconds. */
  close(): Promise<void>
}

export interface ControlRequest {
  readonly headers: IncomingHttpHeaders
  readonly method: string
  /** The route's pattern, such as `/services/:name`. */
  readonly route: string
}

export interface ControlTrace {
  /** What this causes, such as a spawn, belongs to the request. */
  within<T>(work: () => T): T
  /** @param status  null = the client went away before the answer. */
  end(status: number | null): void
}
