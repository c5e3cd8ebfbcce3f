import { Agent, type ClientRequest, type ClientRequestArgs, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { inspect } from 'node:util'

const PROBE_AFTER_MS = 30_000

/** The method is part of what node's own and others' agents rely on, but not of its types. */
const NODE_AGENT = Agent.prototype as unknown as { addRequest: (request: ClientRequest, ...rest: unknown[]) => void }

/**
 * One connection for each call: an idle one that the engine has just closed would fail a create whose fate is then
 * unknown. Keep-alive probes of TCP find an engine that vanished while a wait is open.
 */
export class EngineAgent extends Agent {
  readonly #open = new Set<Socket>()

  constructor() {
    super({ keepAlive: false })
  }

  /**
   * Called by node for each request (`Agent.addRequest`). The engine client follows redirects to wherever they lead, with
   * requests that nobody listens to the errors of: no engine sends any, so it is not shown where they lead.
   */
  addRequest(request: ClientRequest, ...rest: readonly unknown[]): void {
    request.prependListener('response', ({ headers }: IncomingMessage) => {
      delete headers.location
    })
    NODE_AGENT.addRequest.call(this, request, ...rest)
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
