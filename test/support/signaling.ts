import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { Secret } from '../../src/secret.ts'
import type { Generation } from '../../src/signaling/dialect.ts'
import {
  openSignalingServer,
  type SignalingServer,
  type SignalingServerOptions,
} from '../../src/signaling/server/server.ts'
import type { SignalingTimings } from '../../src/signaling/timings.ts'
import { until } from './deadline.ts'
import { type HiveOptions, openHive, type TestHive } from './hive.ts'

export const SECRET = 'a-shared-key-0123456789'

/** Everything short, so that no test waits for a real minute; nothing is asserted about these times. */
export const QUICK: Partial<SignalingTimings> = {
  confirmMs: 3_000,
  handshakeMs: 3_000,
  retryFirstMs: 20,
  retryMostMs: 100,
  kindsMs: 50,
}

export interface TestServer extends SignalingServer {
  readonly lines: readonly string[]
}

export async function openServer(t: TestContext, options: Partial<SignalingServerOptions> = {}): Promise<TestServer> {
  const lines: string[] = []
  const server = await openSignalingServer({
    secret: new Secret(SECRET),
    ...options,
    say: (line) => lines.push(line),
  })
  t.after(() => server.close().catch(() => undefined)) // a test may have closed it already
  return Object.defineProperty(server, 'lines', { value: lines }) as TestServer
}

/** A range of its own, since every Hive begins at the first port of its range and a busy machine has many of them. */
export function ownPortRange(): string {
  const first = 20_000 + 100 * Math.floor(Math.random() * 100)
  return `${first}-${first + 99}`
}

/** A Hive that is given a signaling server. */
export function openSignalingHive(t: TestContext, url: string, options: HiveOptions = {}): Promise<TestHive> {
  return openHive(t, {
    signalingTimings: QUICK,
    ...options,
    env: {
      SIGNALING_SERVER_URL: url,
      HIVE_SECRET: SECRET,
      HIVE_ID: 'hive-1',
      HIVE_PORT_RANGE: ownPortRange(),
      ...options.env,
    },
  })
}

export async function registered(hive: TestHive): Promise<void> {
  await until(() => hive.app.signaling?.status().state === 'registered', 15_000, 'the registration')
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into messages of every shape
export type Received = Record<string, any>

export interface App {
  readonly received: readonly Received[]
  send(body: unknown): void
  /** The first message that fits, also one that has come already. */
  next(fits: (message: Received) => boolean, ms?: number): Promise<Received>
  count(fits: (message: Received) => boolean): number
  close(): Promise<void>
}

/** A WebSocket client that keeps every message. */
export async function openApp(t: TestContext, url: string): Promise<App> {
  const socket = new WebSocket(url)
  const received: Received[] = []
  socket.on('error', () => undefined)
  socket.on('message', (data) => received.push(JSON.parse(String(data)) as Received))
  t.after(() => socket.terminate())
  await once(socket, 'open')
  return {
    received,
    send: (body) => socket.send(typeof body === 'string' ? body : JSON.stringify(body)),
    next: (fits, ms = 30_000) => until(() => received.find(fits), ms, 'the awaited message'),
    count: (fits) => received.filter(fits).length,
    async close() {
      socket.terminate()
      if (socket.readyState !== WebSocket.CLOSED) await once(socket, 'close')
    },
  }
}

/** The words of each generation, for tests that run for both. */
export const WORDS: Readonly<Record<Generation, Readonly<Record<'spawn' | 'terminate', string>>>> = {
  1: { spawn: 'spawn_cocoon', terminate: 'terminate_cocoon' },
  2: { spawn: 'hive_spawn_cocoon', terminate: 'hive_terminate_cocoon' },
}

export function resultOf(type: string, requestId: string): (message: Received) => boolean {
  return (message) => message['type'] === `${type}_result` && message['request_id'] === requestId
}

/** A server that says only what a test tells it to. */
export interface RawServer {
  readonly url: string
  /** What the clients have sent so far, parsed where it is JSON. */
  readonly received: readonly Received[]
  readonly clients: ReadonlySet<WebSocket>
  /** How many connections there have been. */
  readonly connections: number
}

export async function openRawServer(
  t: TestContext,
  onMessage: (message: Received, client: WebSocket) => void,
  onConnection: (client: WebSocket, url: string) => void = () => {},
): Promise<RawServer> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/ws' })
  const received: Received[] = []
  let connections = 0
  server.on('connection', (client, request) => {
    connections += 1
    client.on('error', () => undefined)
    client.on('message', (data) => {
      const message = JSON.parse(String(data)) as Received
      received.push(message)
      onMessage(message, client)
    })
    onConnection(client, request.url ?? '')
  })
  await once(server, 'listening')
  t.after(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`,
    received,
    clients: server.clients,
    get connections() {
      return connections
    },
  }
}

export function tell(client: WebSocket, message: Received): void {
  client.send(JSON.stringify(message))
}

/** Confirms every registration of generation 1. */
export function confirm(message: Received, client: WebSocket): void {
  if (message['type'] === 'register_hive') tell(client, { type: 'hive_registered', hive_id: message['hive_id'] })
}
