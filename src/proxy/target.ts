import type { Endpoint, PortBinding } from '../runners/driver.ts'

/** What the proxy knows of one open cocoon: a snapshot of the current id and attempt, replaced as a whole. */
export interface Route {
  readonly id: string
  readonly attempt: number
  readonly name: string
  readonly kind: string
  readonly endpoint: Endpoint
  /** All bindings; `/cocoons/<name>:<port>/` may name a `port` of these and nothing else. */
  readonly ports: readonly PortBinding[]
  readonly stripPrefix: boolean
  readonly allowOrigins: readonly string[]
  /** null = nobody asks whether this cocoon is in use. */
  readonly activity: ActivitySink | null
}

/** Told of proxied data: called for every chunk, so it must be quick. */
export interface ActivitySink {
  note(cause: 'request' | 'tunnel'): void
  /** A request is on its way; `end` when the head of its answer is there, or it failed. */
  begin(): void
  end(): void
}

/** The answer of the one synchronous lookup. Only `open` reaches a cocoon. */
export type RouteAnswer =
  | { readonly answer: 'open'; readonly route: Route }
  /** May still come: 503 with Retry-After. `state` is what it is now, in words for people. */
  | { readonly answer: 'waiting'; readonly retryAfterS: number; readonly state: string }
  /**
   * Stopped because nobody used it: `wake` asks for it and resolves when there is another answer, or with the signal.
   * It rejects if that cannot be had.
   */
  | {
      readonly answer: 'sleeping'
      readonly retryAfterS: number
      readonly allowOrigins: readonly string[]
      readonly wake: (signal: AbortSignal) => Promise<void>
    }
  /** Ended: 503 without Retry-After. */
  | { readonly answer: 'ended'; readonly state: string }
  /** Runs, but has no port: 404. */
  | { readonly answer: 'no-endpoint' }
  | { readonly answer: 'removed' }
  | { readonly answer: 'unknown' }

/** The single source of truth of where requests go; implemented by the service view, no disk, no await. */
export interface RouteTable {
  lookup(name: string): RouteAnswer
  /** Calls back when an id or attempt stopped being current, so that its pool and tunnels are closed. Returns the unsubscriber. */
  onClosed(listener: (closed: { readonly id: string; readonly attempt: number }) => void): () => void
}
