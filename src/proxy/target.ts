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
}

/** The answer of the one synchronous lookup. Only `open` reaches a cocoon. */
export type RouteAnswer =
  | { readonly answer: 'open'; readonly route: Route }
  /** May still come: 503 with Retry-After. */
  | { readonly answer: 'waiting'; readonly retryAfterS: number; readonly state: string }
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
