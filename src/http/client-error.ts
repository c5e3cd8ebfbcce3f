import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { HiveError } from '../errors.ts'
import { problemDocument } from '../problem.ts'
import { answerUnderWay } from './under-way.ts'

/** How long the answer to an unreadable request may take to go out. */
const FLUSH_MS = 1_000

/** Answers what Node's parser refused with a problem document, then closes: the framing is in doubt. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  // More unreadable bytes call again; the first answer stands. After a reset nobody listens.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.writableEnded) {
    socket.destroy()
    return
  }
  // An answer that has begun must not be mixed with another one.
  if (answerUnderWay(socket)?.headersSent === true) {
    socket.destroy()
    return
  }
  socket.end(problemBytes(clientError(error.code ?? '')))
  setTimeout(() => socket.destroy(), FLUSH_MS).unref()
}

/** Answers an `Expect` other than `100-continue` (RFC 9110 §10.1.1), of which Node itself says only the number. */
export function answerExpectation(_req: IncomingMessage, res: ServerResponse): void {
  const error = new HiveError('HIVE_EXPECTATION_FAILED', 'The only expectation Hive knows is 100-continue.')
  const body = JSON.stringify(problemDocument(error, randomUUID()))
  res.writeHead(error.status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  })
  res.end(body)
}

function clientError(code: string): HiveError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HiveError('HIVE_HEADERS_TOO_LARGE', 'The header fields may have 16 KB together.')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HiveError('HIVE_REQUEST_TIMEOUT', 'The header fields did not arrive in time.')
    case 'HPE_INVALID_VERSION':
      return new HiveError('HIVE_VERSION', 'Hive speaks HTTP/1.1 and HTTP/1.0.')
    default:
      return new HiveError('HIVE_REQUEST_INVALID', 'The request is not valid HTTP.')
  }
}

/** A whole HTTP answer, for sockets that have no ServerResponse. */
export function problemBytes(error: HiveError): string {
  const body = JSON.stringify(problemDocument(error, randomUUID()))
  return [
    `HTTP/1.1 ${error.status} ${error.title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    ...(error.retryAfterS === undefined ? [] : [`Retry-After: ${error.retryAfterS}`]),
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
