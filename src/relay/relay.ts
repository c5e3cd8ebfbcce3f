import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface RelayTarget {
  readonly host: string
  readonly port: number
}

/** Where a connection leads, asked for each; null = nowhere now. */
export type Dial = () => RelayTarget | null

export interface RelayOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly target: RelayTarget | Dial
  /** Whether a connection may pass; asked before a byte of it is read. */
  readonly accepts: (socket: Socket) => boolean | Promise<boolean>
}

export interface Relay {
  readonly port: number
  close(): Promise<void>
}

const CONNECT_MS = 10_000
const KEEPALIVE_MS = 30_000
const MOST_CONNECTIONS = 10_000

/**
 * Passes TCP connections on to a target, byte by byte in both directions with backpressure.
 * @throws the listener's error, such as EADDRINUSE or EADDRNOTAVAIL.
 */
export async function openRelay({ listen, target, accepts }: RelayOptions): Promise<Relay> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    admit(socket, { target, accepts, open }).catch(() => socket.destroy())
  })
  server.maxConnections = MOST_CONNECTIONS
  server.listen(listen)
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => close(server, open) }
}

async function admit(
  socket: Socket,
  { target, accepts, open }: Pick<RelayOptions, 'target' | 'accepts'> & { readonly open: Set<Socket> },
): Promise<void> {
  const isAccepted = await accepts(socket)
  const to = typeof target === 'function' ? target() : target
  if (isAccepted && to && !socket.destroyed) pass(socket, to, open)
  else socket.destroy()
}

function pass(from: Socket, target: RelayTarget, open: Set<Socket>): void {
  const to = connect({ ...target, allowHalfOpen: true })
  const late = setTimeout(() => to.destroy(), CONNECT_MS)
  to.on('connect', () => clearTimeout(late))
  to.on('error', () => to.destroy())
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const) {
    open.add(one)
    one.setKeepAlive(true, KEEPALIVE_MS)
    one.setNoDelay(true)
    // pipe() ends the other side after a half-close; only a broken one takes the other with it.
    one.pipe(other)
    one.on('close', () => {
      clearTimeout(late)
      open.delete(one)
      other.destroySoon()
    })
  }
}

async function close(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  for (const socket of open) socket.destroy()
  await closed
}
