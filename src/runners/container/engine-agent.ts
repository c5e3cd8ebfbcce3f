import { Agent, type ClientRequestArgs } from 'node:http'
import { connect, type Socket } from 'node:net'
import { inspect } from 'node:util'

const PROBE_AFTER_MS = 30_000

/**
 * One connection for each call: an idle one that the engine has just closed would fail a create whose fate is then
 * unknown. Keep-alive probes of TCP find an engine that vanished while a wait is open.
 */
export class EngineAgent extends Agent {
  readonly #open = new Set<Socket>()

  constructor() {
    super({ keepAlive: false })
  }

  override createConnection(options: ClientRequestArgs): Socket {
    // Node passes the request's own options: `socketPath` for a unix socket, else `host` and `port`.
    const { socketPath, host, port } = options
    const socket = socketPath
      ? connect({ path: socketPath })
      : connect({
          host: host ?? '127.0.0.1',
          port: Number(port),
          keepAlive: true,
          keepAliveInitialDelay: PROBE_AFTER_MS,
        })
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    // The request listens too, but only once it has the socket.
    socket.on('error', () => {})
    return socket
  }

  /** The engine client prints its options for a debug log, to any depth, even when nobody reads it: 5 ms a call. */
  [inspect.custom](): string {
    return 'EngineAgent'
  }

  /** Cuts every connection, those of running calls included. */
  override destroy(): void {
    for (const socket of this.#open) socket.destroy()
    super.destroy()
  }
}
