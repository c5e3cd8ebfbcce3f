import type { IncomingMessage } from 'node:http'
import { withoutHiveCookies } from './cocoon-cookie.ts'
import { HOP_BY_HOP, nominated } from './hop-by-hop.ts'
import { mapLocation, type OwnOrigins } from './location.ts'
import { confineCookie } from './set-cookie.ts'

/** The one header filter, both ways, for requests and upgrades alike. */

/** Hive's own view of the request, sent instead of whatever the client claims. */
export interface ForwardedFacts {
  readonly clientAddress: string
  readonly proto: 'http' | 'https'
  /** The authority the client used; the cocoon gets it as Host too, since apps compare Origin with Host. */
  readonly authority: string
  /** null = the cocoon sees its whole path, or is served in host mode. */
  readonly prefix: string | null
}

export type VerifyToken = (token: string) => boolean

/** Fields that never pass: of one connection, written anew by Hive, or only meant for Hive. Lower case. */
const DROPPED = new Set([
  ...HOP_BY_HOP,
  'expect', // Node has answered 100 already, and undici refuses the field.
  'http2-settings',
  'host',
  'via',
  'forwarded',
  'x-real-ip',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-prefix',
  'x-forwarded-port',
  'x-forwarded-server',
  'hive-token',
])

/**
 * Builds the request fields for the cocoon: the client's, in order and spelling, without what must not pass, then
 * Hive's own. Removal comes first, so that a `Connection` field cannot remove what Hive adds.
 *
 * @returns  Names and values in turn.
 */
export function requestHeaders(req: IncomingMessage, facts: ForwardedFacts, verifyToken: VerifyToken): string[] {
  const raw = req.rawHeaders
  const dropped = nominated(req.headers.connection)
  const headers: string[] = ['Host', facts.authority]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const lower = name.toLowerCase()
    if (DROPPED.has(lower) || dropped.has(lower) || isUntrusted(lower)) continue
    const value = ownValue(lower, raw[i + 1] as string, verifyToken)
    if (value !== null) headers.push(name, value)
  }
  addFacts(headers, facts, req)
  return headers
}

/** `X-Hive-*` is Hive's; a name with `_` turns into one with `-` in CGI-like servers and would pass for it. */
function isUntrusted(lower: string): boolean {
  return lower.startsWith('x-hive-') || lower.includes('_')
}

/** What is left of a field once Hive's credentials are out: null = nothing. */
function ownValue(lower: string, value: string, verifyToken: VerifyToken): string | null {
  if (lower === 'cookie') return withoutHiveCookies(value)
  if (lower !== 'authorization') return value
  const token = /^bearer +(\S+)\s*$/i.exec(value)?.[1]
  return token !== undefined && verifyToken(token) ? null : value
}

function addFacts(headers: string[], facts: ForwardedFacts, req: IncomingMessage): void {
  headers.push('X-Forwarded-For', facts.clientAddress)
  headers.push('X-Forwarded-Proto', facts.proto)
  headers.push('X-Forwarded-Host', facts.authority)
  if (facts.prefix !== null) headers.push('X-Forwarded-Prefix', facts.prefix)
  const via = req.headers.via
  headers.push('Via', via === undefined ? '1.1 hive' : `${via}, 1.1 hive`)
}

/** Proxies a request may have passed before; more is a loop. */
const MAX_HOPS = 20

/** True if the request went through so many proxies that it must be running in a circle. */
export function isLoop(req: IncomingMessage): boolean {
  const via = req.headers.via
  return via !== undefined && via.split(',').length >= MAX_HOPS
}

/** Orders to a front server that Hive's client must never see. */
const ALWAYS_DROPPED = new Set([...HOP_BY_HOP, 'x-accel-redirect', 'x-sendfile'])

/** Speak for a whole origin, which in path mode is shared by every cocoon and the control pages. */
const ORIGIN_WIDE = new Set([
  'service-worker-allowed',
  'clear-site-data',
  'strict-transport-security',
  'alt-svc',
  'public-key-pins',
  'public-key-pins-report-only',
  'nel',
  'report-to',
])

/**
 * Builds the answer's fields for the client from the cocoon's.
 *
 * @param raw  Names and values in turn.
 * @returns    Names and values in turn; null = the cocoon's answer cannot be relayed.
 */
export function responseHeaders(status: number, raw: readonly string[], own: OwnOrigins): string[] | null {
  const dropped = nominated(connectionOf(raw))
  // RFC 9110 §8.6: no Content-Length with 1xx and 204; with 205 it could only be zero.
  const lengthless = status < 200 || status === 204 || status === 205
  const headers: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const lower = name.toLowerCase()
    // Hive never asked for a transfer coding (RFC 9110 §10.1.4), so it could not take another one off.
    if (lower === 'transfer-encoding' && value.trim().toLowerCase() !== 'chunked') return null
    if (ALWAYS_DROPPED.has(lower) || dropped.has(lower)) continue
    if (own.prefix !== '' && ORIGIN_WIDE.has(lower)) continue
    if (lengthless && lower === 'content-length') continue
    addMapped(headers, [name, value], lower, own)
  }
  return headers
}

/** The client's form of one field; a cookie that must not pass is left out. */
function addMapped(headers: string[], [name, value]: readonly [string, string], lower: string, own: OwnOrigins): void {
  if (lower === 'location' || lower === 'content-location') {
    headers.push(name, mapLocation(value, own))
  } else if (lower === 'set-cookie') {
    const cookie = confineCookie(value, own.prefix)
    if (cookie !== null) headers.push(name, cookie)
  } else {
    headers.push(name, value)
  }
}

function connectionOf(raw: readonly string[]): string | undefined {
  let connection: string | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    connection = connection === undefined ? raw[i + 1] : `${connection},${raw[i + 1]}`
  }
  return connection
}
