// A WebSocket echo by hand (RFC 6455), so that the example needs nothing but Node.
import { createHash } from 'node:crypto'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
const CONTINUATION = 0
const TEXT = 1
const CLOSE = 8
const PING = 9
const PONG = 10

/** Answers the handshake and echoes every text and binary message, whole or fragmented, until either side closes. */
export function acceptWebSocket(request, socket, head) {
  const key = request.headers['sec-websocket-key']
  if (!key || request.headers['sec-websocket-version'] !== '13') {
    socket.end(
      'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    )
    return
  }
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64')
  const protocol = request.headers['sec-websocket-protocol']?.split(',', 1)[0]?.trim()
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  lines.push(`Sec-WebSocket-Accept: ${accept}`)
  if (protocol) lines.push(`Sec-WebSocket-Protocol: ${protocol}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  socket.setNoDelay(true)
  const feed = echoFrames(socket)
  if (head.length > 0) feed(head)
  socket.on('data', feed)
}

/** Returns a function that takes the bytes as they come. */
function echoFrames(socket) {
  let chunks = []
  let held = 0
  let needed = 2
  const message = { opcode: 0, parts: [], bytes: 0 }
  return (chunk) => {
    chunks.push(chunk)
    held += chunk.length
    // A large frame is put together once, not at every chunk.
    if (held < needed) return
    const rest = takeFrames(socket, message, Buffer.concat(chunks))
    needed = rest.needed
    chunks = [rest.bytes]
    held = rest.bytes.length
  }
}

/** Acts on every whole frame. Returns the bytes that are left and how many the next frame needs. */
function takeFrames(socket, message, bytes) {
  let rest = bytes
  while (!socket.writableEnded) {
    const frame = parseFrame(rest)
    if (frame.needed > rest.length) return { bytes: rest, needed: frame.needed }
    rest = rest.subarray(frame.needed)
    const error = 'error' in frame ? frame.error : take(socket, message, frame)
    if (error) closeWebSocket(socket, error)
  }
  return { bytes: Buffer.alloc(0), needed: Number.POSITIVE_INFINITY }
}

/** The frame at the front of the bytes. `needed` is its size as far as known; `error` is a close code. */
function parseFrame(bytes) {
  if (bytes.length < 2) return { needed: 2 }
  const opcode = bytes[0] & 0x0f
  const final = (bytes[0] & 0x80) !== 0
  const short = bytes[1] & 0x7f
  if (isWrong(bytes, opcode, { final, short })) return { needed: 0, error: 1002 }
  const start = 6 + ({ 126: 2, 127: 8 }[short] ?? 0)
  if (bytes.length < start) return { needed: start }
  const length = payloadLength(bytes, short)
  if (length > MESSAGE_LIMIT_BYTES) return { needed: 0, error: 1009 }
  if (bytes.length < start + length) return { needed: start + length }
  const mask = bytes.subarray(start - 4, start)
  const payload = Buffer.from(bytes.subarray(start, start + length))
  for (let i = 0; i < length; i++) payload[i] ^= mask[i & 3]
  return { needed: start + length, opcode, final, payload }
}

/** Reserved bits or opcodes, unmasked clients, fragmented or long control frames: RFC 6455 5.1, 5.2, 5.5. */
function isWrong(bytes, opcode, { final, short }) {
  if ((bytes[0] & 0x70) !== 0 || (bytes[1] & 0x80) === 0) return true
  return opcode >= CLOSE ? opcode > PONG || short > 125 || !final : opcode > 2
}

function payloadLength(bytes, short) {
  if (short < 126) return short
  return short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
}

/** Acts on one frame. Returns a close code if it breaks the protocol. */
function take(socket, message, { opcode, final, payload }) {
  if (opcode === PONG) return undefined
  if (opcode === PING) return void write(socket, PONG, payload)
  if (opcode === CLOSE) {
    write(socket, CLOSE, payload.subarray(0, 2))
    return void socket.end()
  }
  const continues = message.opcode !== 0
  if ((opcode === CONTINUATION) !== continues) return 1002
  if (!continues) message.opcode = opcode
  message.parts.push(payload)
  message.bytes += payload.length
  if (message.bytes > MESSAGE_LIMIT_BYTES) return 1009
  if (!final) return undefined
  const whole = Buffer.concat(message.parts)
  const kind = message.opcode
  Object.assign(message, { opcode: 0, parts: [], bytes: 0 })
  if (kind === TEXT && !isUtf8(whole)) return 1007
  return void write(socket, kind, whole)
}

function write(socket, opcode, payload) {
  const length = payload.length
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  const flowing = socket.write(Buffer.concat([head, payload]))
  if (flowing || socket.isPaused()) return
  // Who does not read the echo is not read from either.
  socket.pause()
  socket.once('drain', () => socket.resume())
}

/** Says goodbye with a close code (RFC 6455 7.4.1). */
export function closeWebSocket(socket, code) {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  write(socket, CLOSE, payload)
  socket.end()
}

function isUtf8(bytes) {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
