import type { IncomingMessage } from 'node:http'
import type { HiveError } from '../errors.ts'
import type { Route } from './target.ts'

/** Follows requests to cocoons, when somebody traces. */
export interface ProxyTracer {
  /** A request has come; nothing is known of it yet. */
  begin(req: IncomingMessage): RequestTrace
}

/** One request, from when it came to the first byte of its answer. Whatever is said after its end is not heard. */
export interface RequestTrace {
  /** It goes to this cocoon, with these fields (names and values in turn): the trace context in them becomes its own. */
  sent(route: Route, headers: string[]): void
  /** The head of the answer, or of the tunnel, is on its way to the client. */
  answered(status: number): void
  /** It came to nothing: Hive answers by itself, or (null) the client is gone. */
  failed(error: HiveError | null): void
  /** What this causes elsewhere, such as a start, belongs to the request. */
  within<T>(work: () => T): T
}
