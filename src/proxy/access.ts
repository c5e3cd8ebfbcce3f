import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'
import type { WrongTokens } from '../http/wrong-tokens.ts'
import type { Secret } from '../secret.ts'
import { cocoonCookieName, cocoonCookieValue, readCookie } from './cocoon-cookie.ts'
import type { VerifyToken } from './headers.ts'

export interface AccessRules {
  readonly proxyAuth: 'public' | 'token'
  readonly verifyToken: VerifyToken
  /** What per-cocoon cookies are derived from; null = no cookie opens anything. */
  readonly token: Secret | null
  readonly wrongTokens: WrongTokens
}

/**
 * Decides who may reach a cocoon. It asks before any look-up, so that a refusal says nothing about which names exist.
 *
 * @returns  HIVE_UNAUTHORIZED, HIVE_TOO_MANY_WRONG_TOKENS, or null when the request may pass.
 */
export function refuseAccess(req: IncomingMessage, name: string, rules: AccessRules): HiveError | null {
  if (rules.proxyAuth === 'public') return null
  const header = req.headers['hive-token']
  if (typeof header === 'string' && rules.verifyToken(header)) return null
  const cookie = readCookie(req.headers.cookie, cocoonCookieName(name))
  if (cookie !== null && rules.token !== null && isCookieOf(name, cookie, rules.token)) return null
  // Who sends neither is not guessing.
  const tooMany = header === undefined && cookie === null ? null : rules.wrongTokens.refuse(req.socket.remoteAddress)
  if (tooMany !== null) return tooMany
  return new HiveError('HIVE_UNAUTHORIZED', 'This cocoon needs the Hive-Token header or its own cookie.')
}

function isCookieOf(name: string, given: string, token: Secret): boolean {
  const expected = Buffer.from(cocoonCookieValue(token, name))
  const actual = Buffer.from(given)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
