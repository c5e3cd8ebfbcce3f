import { WebSocket } from 'ws'
import type { Generation } from '../dialect.ts'

export type Role = 'app' | 'cocoon' | 'hive'

/** One client of the server. Generation 1 tells its role by what it sends, generation 2 by the URL. */
export class Peer {
  readonly generation: Generation
  role: Role
  /** Of a registered cocoon. */
  deviceId: string | null = null
  readonly #socket: WebSocket

  constructor(socket: WebSocket, generation: Generation, role: Role) {
    this.#socket = socket
    this.generation = generation
    this.role = role
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  send(body: Readonly<Record<string, unknown>>): void {
    if (this.isOpen) this.#socket.send(JSON.stringify(body))
  }

  /** Ends the connection after what was sent. @param code  RFC 6455 §7.4 */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
  }
}
