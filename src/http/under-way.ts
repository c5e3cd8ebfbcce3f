import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** `_header` is the head as it was sent. */
export type Answer = ServerResponse<IncomingMessage> & { readonly _header?: string | null }

/** The answer under way on a connection: Node keeps it on the socket, and takes it off when it is over. */
export function answerUnderWay(socket: Duplex): Answer | null {
  return (socket as Duplex & { readonly _httpMessage?: Answer | null })._httpMessage ?? null
}
