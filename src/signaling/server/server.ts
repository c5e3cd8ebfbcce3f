import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Secret } from '../../secret.ts'
import type { Generation } from '../dialect.ts'
import { readFrame } from '../frame.ts'
import { BadMessage } from './fields.ts'
import { HELLO_1, handleGeneration1 } from './generation-1.ts'
import { HELLO_2, handleGeneration2 } from './generation-2.ts'
import type { HubHive } from './hub.ts'
import { Peer, type Role } from './peer.ts'
import { Room } from './room.ts'

export interface SignalingServerOptions {
  readonly secret: Secret
  readonly host?: string
  /** 0 = any free one. */
  readonly port?: number
  /** null = both: generation 2 where the URL has a `kind`, else generation 1. */
  readonly generation?: Generation | null
  /** Generation 1 greets every client with `hello`, as its last version did. */
  readonly greets?: boolean
  readonly tls?: { readonly key: string; readonly cert: string }
  /** One line per thing that happens; nothing secret is in it. */
  readonly say?: (line: string) => void
}

export interface SignalingServer {
  /** `ws://127.0.0.1:8080/ws` */
  readonly url: string
  readonly port: number
  readonly hives: readonly HubHive[]
  /** Breaks every connection at once, as a crash would, and stops listening. */
  close(): Promise<void>
}

const FRAME_LIMIT_BYTES = 1024 * 1024

/** A small signaling server of both generations, for trying things out on one machine and for tests. Keeps nothing. */
export async function openSignalingServer(options: SignalingServerOptions): Promise<SignalingServer> {
  const { host = '127.0.0.1', tls, say = () => {} } = options
  const room = new Room(options.secret, say)
  const sockets = new WebSocketServer({ noServer: true, maxPayload: FRAME_LIMIT_BYTES, perMessageDeflate: false })
  const server = tls ? createTlsServer(tls) : createServer()
  server.on('request', (request, response) => {
    response.writeHead(request.url === '/health' ? 200 : 404).end()
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const entry = entryOf(request, options.generation ?? null)
    if (entry === null) refuse(socket)
    else sockets.handleUpgrade(request, socket, head, (client) => welcome(room, client, entry, options))
  })
  server.listen(options.port ?? 0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls ? 'wss' : 'ws'}://${host.includes(':') ? `[${host}]` : host}:${port}/ws`,
    port,
    get hives() {
      return room.hub.hives
    },
    close: () => close(server, sockets),
  }
}

interface Entry {
  readonly generation: Generation
  readonly role: Role
}

/** Which protocol a client speaks and as what; null = no such door, or no such role. */
function entryOf({ url = '' }: IncomingMessage, generation: Generation | null): Entry | null {
  const target = URL.parse(url, 'ws://server')
  if (target?.pathname !== '/ws') return null
  const [role, ...more] = target.searchParams.getAll('kind')
  if (generation === 1 || (generation === null && role === undefined)) return { generation: 1, role: 'app' }
  if (more.length > 0) return null
  if (role !== undefined && role !== 'app' && role !== 'cocoon' && role !== 'hive') return null
  return { generation: 2, role: role ?? 'app' }
}

function refuse(socket: Duplex): void {
  socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
}

function welcome(room: Room, client: WebSocket, entry: Entry, { greets = false }: SignalingServerOptions): void {
  const peer = new Peer(client, entry.generation, entry.role)
  client.on('error', () => client.terminate())
  client.on('close', () => {
    room.hub.remove(peer)
    room.devices.remove(peer, 'is gone')
  })
  client.on('message', (data, isBinary) => {
    if (!isBinary) receive(room, peer, data as Buffer)
  })
  if (entry.role === 'app') room.hub.addApp(peer)
  if (entry.generation === 2 && entry.role === 'app') peer.send(HELLO_2)
  if (entry.generation === 1 && greets) peer.send(HELLO_1)
}

function receive(room: Room, peer: Peer, data: Buffer): void {
  const [handle, complaint] = peer.generation === 1 ? [handleGeneration1, 'error'] : [handleGeneration2, 'system_error']
  try {
    const frame = readFrame(data, false)
    if ('fault' in frame) throw new BadMessage(`Invalid message: ${frame.fault}`)
    handle(room, peer, frame.message)
  } catch (error) {
    if (!(error instanceof BadMessage)) throw error
    peer.send({ type: complaint, message: error.message })
  }
}

async function close(server: Server, sockets: WebSocketServer): Promise<void> {
  for (const client of sockets.clients) client.terminate()
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}
