import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Opens a TCP connection whose errors are kept quiet; destroyed after the test. */
export async function rawConnect(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return socket
}

/** Sends bytes as they are and gives everything that comes back until the peer closes. */
export async function exchangeRaw(t: TestContext, port: number, bytes: string | Buffer): Promise<string> {
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  return all
}

export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}

/** Reads until the text so far satisfies the condition; fails at the deadline or the end. */
export function readUntil(socket: Socket, enough: (text: string) => boolean, deadlineMs = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(
      () => finish(() => reject(new Error(`not seen in time, got: ${text.slice(0, 500)}`))),
      deadlineMs,
    )
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (enough(text)) finish(() => resolve(text))
    }
    const onClose = (): void => finish(() => reject(new Error(`closed, got: ${text.slice(0, 500)}`)))
    function finish(settle: () => void): void {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      settle()
    }
    socket.on('data', onData).on('close', onClose)
  })
}

export interface RawBackend {
  readonly port: number
  readonly server: Server
  /** Connections so far. */
  readonly sockets: Socket[]
}

/** A TCP server that does to each connection what the test says. */
export async function rawBackend(t: TestContext, serve: (socket: Socket) => void): Promise<RawBackend> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, server, sockets }
}

/** A backend that answers every piece it reads with fixed bytes, or only the first one and then closes. */
export function cannedBackend(t: TestContext, answer: string, close = true): Promise<RawBackend> {
  const bytes = Buffer.from(answer, 'latin1')
  return rawBackend(t, (socket) => {
    if (close) socket.once('data', () => socket.end(bytes))
    else socket.on('data', () => socket.write(bytes))
  })
}

/** A GET with `Connection: close`, as raw text. */
export function get(target: string, ...fields: readonly string[]): string {
  return [`GET ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...fields, '', ''].join('\r\n')
}

/** The parts of one raw answer. */
export function parseAnswer(text: string): { status: number; head: string; body: string } {
  const end = text.indexOf('\r\n\r\n')
  const head = end === -1 ? text : text.slice(0, end)
  return { status: Number(head.split(' ', 2)[1]), head, body: end === -1 ? '' : text.slice(end + 4) }
}
