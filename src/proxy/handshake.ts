import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'
import { hasBody } from './upload.ts'

/** Protocols that are HTTP itself: answering such an upgrade is optional, so the request is served as it stands. */
const NEVER_TUNNELLED = /^(?:h2c?|http\/.*|tls\/.*)$/

/**
 * Node's `shouldUpgradeCallback`: whether a request goes to the `upgrade` listener or is served as an ordinary one
 * (RFC 9110 §7.8: a server may ignore Upgrade).
 */
export function isUpgrade(req: IncomingMessage): boolean {
  return protocols(req).some((protocol) => !NEVER_TUNNELLED.test(protocol))
}

/** Refuses an upgrade that no cocoon could answer rightly. RFC 6455 §4.2.1 for WebSockets. */
export function refuseHandshake(req: IncomingMessage): HiveError | null {
  const [protocol, ...others] = protocols(req)
  if (protocol === undefined || others.length > 0) return invalid('An upgrade names exactly one protocol.')
  if (req.httpVersionMinor === 0) return invalid('An upgrade needs HTTP/1.1.')
  if (hasBody(req)) return invalid('An upgrade must not have a body.')
  if (protocol !== 'websocket') return null
  if (req.method !== 'GET') return invalid('A WebSocket is opened with GET.')
  if (req.headers['sec-websocket-version'] !== '13') return invalid('Hive speaks WebSocket version 13.')
  if (!KEY.test(req.headers['sec-websocket-key'] ?? '')) return invalid('Sec-WebSocket-Key must be 16 bytes in base64.')
  return null
}

const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** True if a 101 really answers this request: the same protocol and, for a WebSocket, the hash of its key. */
export function isAcceptedBy(req: IncomingMessage, answer: IncomingMessage): boolean {
  const protocol = req.headers.upgrade?.trim().toLowerCase()
  if (answer.headers.upgrade?.trim().toLowerCase() !== protocol) return false
  if (protocol !== 'websocket') return true
  const key = req.headers['sec-websocket-key'] ?? ''
  return (
    answer.headers['sec-websocket-accept'] ===
    createHash('sha1')
      .update(key + GUID)
      .digest('base64')
  )
}

function protocols(req: IncomingMessage): string[] {
  const names = (req.headers.upgrade ?? '').toLowerCase().split(',')
  return names.map((name) => name.trim()).filter((name) => name !== '')
}

function invalid(detail: string): HiveError {
  return new HiveError('HIVE_REQUEST_INVALID', detail)
}
