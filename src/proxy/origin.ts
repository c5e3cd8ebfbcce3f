import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'

export interface OriginFacts {
  /** The authority the client used, port included. */
  readonly authority: string
  /** Origins (`https://host[:port]`) allowed beyond the cocoon's own; `*` = all. */
  readonly allowOrigins: readonly string[]
  readonly upgrade: boolean
}

/**
 * Refuses what another site's page makes a browser send. A browser always says where an upgrade or a cross-site
 * request comes from (WHATWG Fetch, "Sec-Fetch-Site"); what says nothing is no browser and has no ambient rights.
 *
 * @returns  The refusal, or null.
 */
export function refuseOrigin(req: IncomingMessage, facts: OriginFacts): HiveError | null {
  const origin = req.headers.origin
  if (origin !== undefined && isAllowed(origin, facts.allowOrigins)) return null
  if (facts.upgrade && origin !== undefined && !isOwn(origin, facts.authority)) {
    return new HiveError('HIVE_FORBIDDEN', 'This cocoon takes upgrades from its own pages and its allow_origins only.')
  }
  if (req.headers['sec-fetch-site'] === 'cross-site' && !isTopLevelVisit(req)) {
    return new HiveError('HIVE_FORBIDDEN', 'Another site may only link to this cocoon, unless allow_origins names it.')
  }
  return null
}

function isAllowed(origin: string, allowOrigins: readonly string[]): boolean {
  if (allowOrigins.length === 0) return false
  const wanted = origin.toLowerCase()
  return allowOrigins.some((allowed) => allowed === '*' || allowed.toLowerCase() === wanted)
}

/** Exact host and port, never the site: a sibling below the same domain is somebody else. */
function isOwn(origin: string, authority: string): boolean {
  const match = /^(https?):\/\/([^/]+)$/i.exec(origin)
  if (match === null) return false // `null`, or not an origin
  const [, scheme = '', host = ''] = match
  const port = scheme.toLowerCase() === 'https' ? ':443' : ':80'
  return withoutPort(host, port) === withoutPort(authority, port)
}

function withoutPort(host: string, port: string): string {
  const lower = host.toLowerCase()
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower
}

function isTopLevelVisit(req: IncomingMessage): boolean {
  return (
    req.method === 'GET' && req.headers['sec-fetch-mode'] === 'navigate' && req.headers['sec-fetch-dest'] === 'document'
  )
}
