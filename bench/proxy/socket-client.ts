import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * Opens so many WebSockets, says how many stand, and closes them all when its input ends: `<port> <path> <count>`.
 * A few at a time, so that no queue of a listener runs over.
 */

const [port, path, count] = process.argv.slice(2)
const AT_ONCE = 64
const request = [
  `GET ${path} HTTP/1.1`,
  `Host: 127.0.0.1:${port}`,
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  '\r\n',
].join('\r\n')
const open: Socket[] = []
let left = Number(count)

await Promise.all(Array.from({ length: AT_ONCE }, openNext))
process.stdout.write(`${open.length}\n`)
for await (const _ of process.stdin);
for (const socket of open) socket.destroy()

async function openNext(): Promise<void> {
  while (left > 0) {
    left -= 1
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(request)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    if (!answer.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(`no WebSocket: ${answer}`)
    open.push(socket)
  }
}
