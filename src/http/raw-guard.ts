import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'

const MAX_FIELDS = 100

/**
 * Refuses what Node's parser lets through although two parties could read it differently. Runs before anything with an
 * effect; after a refusal the connection must be closed, because the framing is in doubt.
 *
 * @returns  The refusal, or null when the request is sound.
 */
export function refuseRaw(req: IncomingMessage): HiveError | null {
  // llhttp takes a bare `GET /x` as HTTP/0.9 and 1.2 as 1.x.
  if (req.httpVersionMajor !== 1 || req.httpVersionMinor > 1) {
    return new HiveError('HIVE_VERSION', 'Hive speaks HTTP/1.1 and HTTP/1.0.')
  }
  if (req.rawHeaders.length > MAX_FIELDS * 2) {
    return new HiveError('HIVE_HEADERS_TOO_LARGE', `A request may have at most ${MAX_FIELDS} header fields.`)
  }
  return refuseTransferEncoding(req) ?? refuseRepeated(req.rawHeaders)
}

function refuseTransferEncoding(req: IncomingMessage): HiveError | null {
  const coding = req.headers['transfer-encoding']
  if (coding === undefined) return null
  // RFC 9112 §6.1: HTTP/1.0 does not know Transfer-Encoding; its framing must be taken as faulty.
  if (req.httpVersionMinor === 0) {
    return new HiveError('HIVE_REQUEST_INVALID', 'Transfer-Encoding is not allowed in HTTP/1.0.')
  }
  if (coding.trim().toLowerCase() === 'chunked') return null
  return new HiveError('HIVE_NOT_IMPLEMENTED', 'The only transfer coding Hive knows is chunked.')
}

/** Node keeps the first of two fields silently; a peer may keep the other. */
function refuseRepeated(rawHeaders: readonly string[]): HiveError | null {
  const hosts = countFields(rawHeaders, 'host')
  if (hosts !== 1) {
    return new HiveError('HIVE_REQUEST_INVALID', `A request needs exactly one Host field; this one has ${hosts}.`)
  }
  if (countFields(rawHeaders, 'authorization') > 1) {
    return new HiveError('HIVE_REQUEST_INVALID', 'A request may have one Authorization field.')
  }
  return null
}

function countFields(rawHeaders: readonly string[], name: string): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const field = rawHeaders[i] as string
    if (field.length === name.length && field.toLowerCase() === name) count += 1
  }
  return count
}
