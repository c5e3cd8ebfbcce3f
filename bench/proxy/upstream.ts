import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'

/**
 * The cocoon behind every proxy of bench/proxy.ts: answers by the path, as cheaply as a program in Node can, so that it
 * may share a core with the load client. `/bytes/<n>` is n bytes, `/ws` a WebSocket that says nothing.
 */

const CHUNK = Buffer.alloc(65_536, 'x')
const KEPT_BELOW = 1_000_000
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const answers = new Map<number, Buffer>()

createServer({ noDelay: true }, (socket) => {
  let text = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
      answer(socket, text.slice(0, end))
      text = text.slice(end + 4)
    }
  })
}).listen(Number(process.env['PORT']), '127.0.0.1')

function answer(socket: Socket, head: string): void {
  const bytes = /^GET \/(?:cocoons\/web\/)?bytes\/(\d+) /.exec(head)?.[1]
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1]
  if (bytes !== undefined) sendBytes(socket, Number(bytes))
  else if (key !== undefined) socket.write(switching(key))
  else socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')
}

function sendBytes(socket: Socket, length: number): void {
  if (length > KEPT_BELOW) {
    socket.write(headOf(length))
    sendRest(socket, length)
    return
  }
  const known = answers.get(length) ?? Buffer.concat([Buffer.from(headOf(length)), Buffer.alloc(length, 'x')])
  answers.set(length, known)
  socket.write(known)
}

function sendRest(socket: Socket, length: number): void {
  let left = length
  while (left > 0) {
    const chunk = CHUNK.subarray(0, left)
    left -= chunk.length
    if (socket.write(chunk)) continue
    const rest = left
    socket.once('drain', () => sendRest(socket, rest))
    return
  }
}

function headOf(length: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`
}

function switching(key: string): string {
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}
