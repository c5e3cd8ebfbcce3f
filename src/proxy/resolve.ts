import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'
import type { ReadTarget, RequestTarget } from '../http/request-target.ts'
import { isDataPlane } from '../http/request-target.ts'
import type { Endpoint } from '../runners/driver.ts'
import type { HiveConfig } from '../settings.ts'
import { type AccessRules, refuseAccess } from './access.ts'
import { type CocoonAddress, readAddress } from './address.ts'
import { type ForwardedFacts, isLoop } from './headers.ts'
import type { OwnOrigins } from './location.ts'
import { refuseOrigin } from './origin.ts'
import { authorityOf } from './pools.ts'
import type { Route, RouteAnswer, RouteTable } from './target.ts'

/** What to do with one request. The same for plain requests and upgrades. */
export type Resolution =
  | { readonly kind: 'open'; readonly destination: Destination }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Asleep: to be woken, and then resolved again. */
  | {
      readonly kind: 'sleeping'
      readonly name: string
      readonly retryAfterS: number
      readonly wake: (signal: AbortSignal) => Promise<void>
    }
  | { readonly kind: 'refused'; readonly error: HiveError }

export interface Destination {
  readonly route: Route
  readonly endpoint: Endpoint
  /** Raw path and query for the cocoon. */
  readonly path: string
  /** What the client sees before the cocoon's paths; `""` in host mode. */
  readonly prefix: string
  readonly facts: ForwardedFacts
  readonly own: OwnOrigins
}

export interface ResolverParts extends AccessRules {
  readonly routes: RouteTable
  readonly readTarget: ReadTarget
  readonly config: Pick<HiveConfig, 'publicUrl' | 'cocoonDomain' | 'proxyPort'>
}

export type Resolve = (req: IncomingMessage, upgrade: boolean) => Resolution

/** Builds the one resolver: target → name → route, checked in this order, synchronously, without decoding anything. */
export function createResolver(parts: ResolverParts): Resolve {
  const proto = protocolReader(parts.config)
  return (req, upgrade) => {
    try {
      return resolve(req, upgrade, parts, proto)
    } catch (error) {
      if (error instanceof HiveError) return { kind: 'refused', error }
      throw error
    }
  }
}

/** The cocoon that a request is for. */
export function nameOf(resolution: Extract<Resolution, { kind: 'open' | 'sleeping' }>): string {
  return resolution.kind === 'open' ? resolution.destination.route.name : resolution.name
}

/** The status that a request which reaches no cocoon is answered with. */
export function statusOf(resolution: Extract<Resolution, { kind: 'redirect' | 'refused' }>): number {
  return resolution.kind === 'redirect' ? 308 : resolution.error.status
}

function resolve(req: IncomingMessage, upgrade: boolean, parts: ResolverParts, proto: ReadProtocol): Resolution {
  const target = parts.readTarget(req)
  if (parts.config.proxyPort !== null && !isDataPlane(req)) {
    throw new HiveError('HIVE_NOT_FOUND', 'Cocoons are served on a port of their own.')
  }
  const address = readAddress(target)
  if (isLoop(req)) throw new HiveError('HIVE_LOOP', 'The request has passed too many proxies.')
  const denied = refuseAccess(req, address.name, parts)
  if (denied !== null) throw denied
  const found = parts.routes.lookup(address.name)
  if (!address.rest.startsWith('/') && !ownsPrefix(found))
    return { kind: 'redirect', location: `${address.prefix}/${address.rest}` }
  const { authority } = target
  const { allowOrigins } = found.answer === 'sleeping' ? found : openRoute(found)
  // Before anything is woken: a stranger's page must not start what its user let sleep.
  const foreign = refuseOrigin(req, { authority, allowOrigins, upgrade })
  if (foreign !== null) throw foreign
  if (found.answer === 'sleeping')
    return { kind: 'sleeping', name: address.name, retryAfterS: found.retryAfterS, wake: found.wake }
  const route = openRoute(found)
  return { kind: 'open', destination: destination(req, route, address, { authority, proto: proto(target) }) }
}

/** An app that sees its whole path may well redirect to the one without the slash: Hive would send it in a circle. */
function ownsPrefix(found: RouteAnswer): boolean {
  return found.answer === 'open' && !found.route.stripPrefix
}

const ENDED = '`hive show <name> --post-mortem` says why, `hive start <name>` starts it again.'

function endedText(state: string): string {
  return state === 'stopping' ? 'This cocoon is being stopped.' : `This cocoon has ended: it is ${state}.`
}

function openRoute(found: Exclude<RouteAnswer, { answer: 'sleeping' }>): Route {
  switch (found.answer) {
    case 'open':
      return found.route
    case 'waiting':
      throw new HiveError('HIVE_COCOON_NOT_READY', `This cocoon is not ready yet: it is ${found.state}.`, {
        retryAfterS: found.retryAfterS,
      })
    case 'ended':
      throw new HiveError('HIVE_COCOON_NOT_READY', `${endedText(found.state)} ${ENDED}`)
    case 'no-endpoint':
      throw new HiveError('HIVE_COCOON_NO_ENDPOINT', 'This cocoon runs, but its kind declares no port.')
    case 'removed':
      throw new HiveError('HIVE_COCOON_GONE', 'This cocoon was removed.')
    case 'unknown':
      throw new HiveError('HIVE_SERVICE_UNKNOWN', '`hive list` and GET /services say which cocoons there are.')
  }
}

type Seen = Pick<ForwardedFacts, 'authority' | 'proto'>

function destination(req: IncomingMessage, route: Route, address: CocoonAddress, seen: Seen): Destination {
  const stripped = address.mode === 'path' && route.stripPrefix
  const endpoint = address.port === null ? route.endpoint : namedPort(route, address.port)
  const inside = route.ports.find(({ hostPort }) => hostPort === endpoint.port)?.port ?? endpoint.port
  return {
    route,
    endpoint,
    path: address.mode === 'path' && !route.stripPrefix ? address.prefix + address.rest : address.rest,
    prefix: address.prefix,
    facts: { ...seen, clientAddress: clientAddress(req), prefix: stripped ? address.prefix : null },
    own: {
      prefix: address.prefix,
      authority: seen.authority,
      upstream: authorityOf(endpoint),
      ports: [endpoint.port, inside],
    },
  }
}

function namedPort(route: Route, port: number): Endpoint {
  const binding = route.ports.find((one) => one.port === port)
  if (binding === undefined) {
    throw new HiveError('HIVE_COCOON_NO_ENDPOINT', `This cocoon has no port ${port}; its record lists those it has.`)
  }
  return { host: binding.host, port: binding.hostPort }
}

/** IPv4 clients of a dual-stack listener appear as `::ffff:a.b.c.d`. */
function clientAddress(req: IncomingMessage): string {
  const address = req.socket.remoteAddress ?? 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

type ReadProtocol = (target: RequestTarget) => 'http' | 'https'

/**
 * Hive itself speaks plain HTTP; https is known only from the operator's HIVE_PUBLIC_URL, and only for the hosts that
 * stand behind the same front: its own, and the cocoons' unless they are loopback names.
 */
function protocolReader(config: ResolverParts['config']): ReadProtocol {
  if (config.publicUrl?.startsWith('https:') !== true) return () => 'http'
  const publicHost = new URL(config.publicUrl).host
  const fronted = config.cocoonDomain !== null && config.cocoonDomain !== 'localhost'
  return ({ host, authority }) => {
    if (host.kind === 'cocoon') return fronted ? 'https' : 'http'
    return authority.toLowerCase() === publicHost ? 'https' : 'http'
  }
}
