import { createHmac } from 'node:crypto'
import type { Secret } from '../secret.ts'

/** Names that begin so belong to Hive: never sent to a cocoon, never accepted from one. */
const HIVE_COOKIE = 'hive-cocoon-'

/** The name of the cookie that opens one cocoon in a browser when HIVE_PROXY_AUTH is `token`. */
export function cocoonCookieName(name: string): string {
  return `${HIVE_COOKIE}${name}`
}

/** Its value: an HMAC of the name under the control token, so that it can be checked without keeping any state. */
export function cocoonCookieValue(token: Secret, name: string): string {
  return createHmac('sha256', token.reveal()).update(`hive cocoon cookie 1:${name}`).digest('base64url')
}

export function isHiveCookie(name: string): boolean {
  return name.toLowerCase().startsWith(HIVE_COOKIE)
}

/** The value of one cookie in a `Cookie` field (RFC 6265 §4.2), or null. The first one wins, as in browsers. */
export function readCookie(field: string | undefined, name: string): string | null {
  for (const pair of field?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return null
}

/** The `Cookie` field without Hive's own cookies; null when nothing is left, unchanged when there are none. */
export function withoutHiveCookies(field: string): string | null {
  if (!field.toLowerCase().includes(HIVE_COOKIE)) return field
  const kept = field.split(';').filter((pair) => !isHiveCookie((pair.split('=', 1)[0] ?? '').trim()))
  const text = kept.map((pair) => pair.trim()).join('; ')
  return text === '' ? null : text
}
