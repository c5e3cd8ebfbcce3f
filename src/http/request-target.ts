import type { IncomingMessage } from 'node:http'
import type { HostClass, HostConfig } from './host-names.ts'
import { hostNames } from './host-names.ts'

/** Where a request really points, read once from its raw target and Host field, before any routing. */
export interface RequestTarget {
  /** As the client wrote it: the target's own authority if it has one (RFC 9112 §3.2.2), else the Host field. */
  readonly authority: string
  readonly host: HostClass
  /** Raw path and query, byte for byte, starting with `/`; null = a form that names no resource here (`*`). */
  readonly path: string | null
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/is
const COCOONS = '/cocoons/'

/** Kept on the request under symbols: no header and no address can forge either. */
const kTarget = Symbol('hive.target')
const kDataPlane = Symbol('hive.dataPlane')
type Marked = IncomingMessage & { [kTarget]?: RequestTarget; [kDataPlane]?: true }

export type ReadTarget = (req: IncomingMessage) => RequestTarget

/** Builds the one reader of targets. It remembers its answer, since routing may rewrite `req.url` afterwards. */
export function targetReader(config: HostConfig): ReadTarget {
  const classify = hostNames(config)
  return (req: Marked) => {
    const known = req[kTarget]
    if (known !== undefined) return known
    const { authority, path } = split(req.url ?? '', req.headers.host ?? '')
    const target = { authority, host: classify(authority), path }
    req[kTarget] = target
    return target
  }
}

/**
 * Fastify's `rewriteUrl`: sends `http://<label>.<domain>/x` to the route of `/cocoons/<label>/x`, so that a control
 * path can never be reached on a cocoon's host, and turns absolute-form targets into paths.
 */
export function rewriteHostMode(readTarget: ReadTarget): (req: IncomingMessage) => string {
  return (req) => {
    const { host, path } = readTarget(req)
    if (host.kind === 'cocoon') return `${COCOONS}${host.label}${path ?? '/'}`
    return path ?? req.url ?? '/'
  }
}

/** True if the request is for a cocoon, by host or by path; a router's decoding of the prefix does not count. */
export function isCocoonTarget(target: RequestTarget): boolean {
  return target.host.kind === 'cocoon' || target.path?.startsWith(COCOONS) === true
}

/** Marks a request as taken by the data plane's own listener. */
export function markDataPlane(req: IncomingMessage): void {
  ;(req as Marked)[kDataPlane] = true
}

export function isDataPlane(req: IncomingMessage): boolean {
  return (req as Marked)[kDataPlane] === true
}

function split(url: string, host: string): { authority: string; path: string | null } {
  if (url.startsWith('/')) return { authority: host, path: url }
  const absolute = ABSOLUTE_FORM.exec(url)
  if (absolute === null) return { authority: host, path: null }
  const [, authority = '', rest = ''] = absolute
  return { authority, path: rest.startsWith('/') ? rest : `/${rest}` }
}
