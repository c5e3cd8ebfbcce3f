import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'

/** What undici reads and what Node writes, brought together. */

/** undici gives names and values as bytes; a field is Latin-1 on the wire, and Node writes it back as such. */
export function textOf(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))
}

/** A reason phrase is for people and may be empty (RFC 9112 §4); one that Node would refuse is left out. */
export function cleanReason(reason: string | undefined): string {
  return reason !== undefined && /^[\t -~]*$/.test(reason) ? reason : ''
}

/** Breaks the client's connection. HTTP/1.0 without a length ends at the close (RFC 9112 §6.3), so it is reset. */
export function cut(req: IncomingMessage, res: ServerResponse): void {
  if (req.httpVersionMinor === 0) res.socket?.resetAndDestroy()
  else res.destroy()
}
