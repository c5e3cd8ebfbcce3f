import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

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
/** How long a connection is held while its target refuses, or is nowhere. */
const PATIENCE_MS = 2_000
const PAUSE_MS = 50
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
  const to = (await accepts(socket)) ? await reach(typeof target === 'function' ? target : () => target, socket) : null
  if (to === null) return void socket.destroy()
  open.add(to)
  to.on('close', () => open.delete(to))
  join(socket, to)
}

/**
 * Connects to where the target is now, again and again for a while: a provider that is started anew, or another one in
 * its place, is there in a moment.
 *
 * @returns null if nothing answers, or who asks has gone.
 */
async function reach(target: Dial, from: Socket): Promise<Socket | null> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const at = target()
    const to = at === null ? null : await dial(at, from)
    if (to !== null || from.destroyed || performance.now() > end) return to
    await delay(PAUSE_MS)
  }
}

async function dial(target: RelayTarget, from: Socket): Promise<Socket | null> {
  const to = connect({ ...target, allowHalfOpen: true })
  to.on('error', () => to.destroy())
  const giveUp = () => to.destroy()
  const late = setTimeout(giveUp, CONNECT_MS)
  from.once('close', giveUp)
  await Promise.race([once(to, 'connect'), once(to, 'close')]).catch(() => undefined) // 'error'; 'close' follows
  clearTimeout(late)
  from.off('close', giveUp)
  if (!from.destroyed && !to.destroyed) return to
  to.destroy()
  return null
}

function join(from: Socket, to: Socket): void {
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const) {
    one.setKeepAlive(true, KEEPALIVE_MS)
    one.setNoDelay(true)
    // pipe() ends the other side after a half-close; only a broken one takes the other with it.
    one.pipe(other)
    one.on('close', () => other.destroySoon())
  }
}

async function close(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  for (const socket of open) socket.destroy()
  await closed
}
