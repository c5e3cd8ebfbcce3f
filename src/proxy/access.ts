import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'
import type { Secret } from '../secret.ts'
import { cocoonCookieName, cocoonCookieValue, readCookie } from './cocoon-cookie.ts'
import type { VerifyToken } from './headers.ts'

export interface AccessRules {
  readonly proxyAuth: 'public' | 'token'
  readonly verifyToken: VerifyToken
  /** What per-cocoon cookies are derived from; null = no cookie opens anything. */
  readonly token: Secret | null
}

/**
 * Decides who may reach a cocoon. It asks before any look-up, so that a refusal says nothing about which names exist.
 *
 * @returns  HIVE_UNAUTHORIZED, or null when the request may pass.
 */
export function refuseAccess(req: IncomingMessage, name: string, rules: AccessRules): HiveError | null {
  if (rules.proxyAuth === 'public') return null
  const header = req.headers['hive-token']
  if (typeof header === 'string' && rules.verifyToken(header)) return null
  if (hasCookie(req, name, rules.token)) return null
  return new HiveError('HIVE_UNAUTHORIZED', 'This cocoon needs the Hive-Token header or its own cookie.')
}

function hasCookie(req: IncomingMessage, name: string, token: Secret | null): boolean {
  const given = readCookie(req.headers.cookie, cocoonCookieName(name))
  if (given === null || token === null) return false
  const expected = Buffer.from(cocoonCookieValue(token, name))
  const actual = Buffer.from(given)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
