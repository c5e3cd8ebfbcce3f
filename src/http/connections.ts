import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { HiveError } from '../errors.ts'
import { problemBytes } from './client-error.ts'
import type { Descriptors } from './descriptors.ts'
import { type Answer, answerUnderWay } from './under-way.ts'

/** Refused connections that are kept for their client to read why, each this long at most. */
const MOST_FAREWELLS = 16
const FAREWELL_MS = 1_000
const RETRY_AFTER_S = 1
/** Once Hive ends: how long it waits for a client whose first byte may be on its way, for the rest of a head, */
const SILENT_MS = 200
const HEAD_MS = 1_000
/** for the next byte of an upload, and before it cuts event streams. */
const UPLOAD_MS = 2_000
const EVENTS_MS = 1_000

interface Progress {
  bytes: number
  since: number
}

/** All connections of Hive's listeners: lets them in while there is room, and ends the useless ones when Hive ends. */
export class Connections {
  readonly #sockets = new Map<Socket, Progress>()
  readonly #upgraded = new WeakSet<Socket>()
  readonly #servers: Server[] = []
  readonly #descriptors: Descriptors
  readonly #onRefused: () => void
  #farewells = 0
  #endsSince: number | null = null

  /** @param onRefused  told of each connection that finds no room. */
  constructor(descriptors: Descriptors, onRefused: () => void) {
    this.#descriptors = descriptors
    this.#onRefused = onRefused
  }

  get count(): number {
    return this.#sockets.size
  }

  /** Stands before the server's own handling of connections, so that a refused one is never read as a request. */
  watch(server: Server): void {
    const serve = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      if (!this.#descriptors.admitsConnection()) return this.#refuse(socket)
      this.#sockets.set(socket, { bytes: 0, since: 0 })
      socket.once('close', () => this.#sockets.delete(socket))
      for (const listener of serve) listener.call(server, socket)
    })
    server.on('upgrade', (_req, socket: Socket) => this.#upgraded.add(socket))
    this.#servers.push(server)
  }

  /**
   * Ends the connections on which nothing will come to an end, for a Hive that ends: call it again and again. Node's own
   * `closeIdleConnections` leaves those on which nothing or half a head was sent: browsers keep such ones in store.
   */
  endQuiet(): void {
    const now = performance.now()
    this.#endsSince ??= now
    const endsStreams = now - this.#endsSince > EVENTS_MS
    for (const server of this.#servers) server.closeIdleConnections()
    for (const [socket, progress] of this.#sockets) {
      if (this.#upgraded.has(socket)) continue
      if (hasStalled(socket, progress, now) || (endsStreams && streamsEvents(answerUnderWay(socket)))) socket.destroy()
    }
  }

  /** Cuts every connection, those that became tunnels or were answered as refused upgrades, too. */
  cutAll(): void {
    for (const socket of this.#sockets.keys()) socket.destroy()
  }

  #refuse(socket: Socket): void {
    socket.on('error', ignore)
    this.#onRefused()
    if (this.#farewells >= MOST_FAREWELLS) {
      socket.destroy()
      return
    }
    this.#farewells += 1
    const late = setTimeout(() => socket.destroy(), FAREWELL_MS)
    socket.once('close', () => {
      clearTimeout(late)
      this.#farewells -= 1
    })
    // Read to its end: closing on unread bytes would reset the connection and could destroy the answer.
    socket.resume()
    socket.end(problemBytes(overloaded()))
  }
}

export function overloaded(): HiveError {
  return new HiveError('HIVE_OVERLOADED', 'Too few file descriptors are left: try again.', {
    retryAfterS: RETRY_AFTER_S,
  })
}

function hasStalled(socket: Socket, progress: Progress, now: number): boolean {
  const answer = answerUnderWay(socket)
  const waitsForClient = answer === null || !answer.req.complete
  if (!waitsForClient || socket.bytesRead !== progress.bytes || progress.since === 0) {
    progress.bytes = socket.bytesRead
    progress.since = now
  }
  if (!waitsForClient) return false
  const patienceMs = answer !== null ? UPLOAD_MS : socket.bytesRead === 0 ? SILENT_MS : HEAD_MS
  return now - progress.since > patienceMs
}

/** Its reader comes back by itself (HTML Living Standard, "Server-sent events"). */
function streamsEvents(answer: Answer | null): boolean {
  return /^content-type: *text\/event-stream/im.test(answer?._header ?? '')
}

function ignore(): void {
  // 'close' follows.
}
