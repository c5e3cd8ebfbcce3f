import { connect, type Socket } from 'node:net'
import { quantile } from '../quantile.ts'
import type { LoadOrder, LoadResult } from './load.ts'

/**
 * A load client on raw sockets: one GET at a time on each keep-alive connection, answers read by their Content-Length.
 * With a rate requests fall due by the clock, each millisecond, and their time counts from then, so that a late answer
 * is not hidden by the requests it kept waiting.
 */

const order = JSON.parse(process.argv[2] ?? '') as LoadOrder
const request = `GET ${order.path} HTTP/1.1\r\nHost: 127.0.0.1:${order.port}\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`
const times: number[] = []
const idle: Connection[] = []
/** When requests that wait for a free connection were due. */
const due: number[] = []
let over = false

class Connection {
  #socket: Socket | null = null
  #head = ''
  /** Bytes of the body still to come; -1 = the head is not there yet. */
  #left = -1
  #closes = false
  #since = 0

  send(since: number): void {
    this.#since = since
    this.#socket ??= this.#open()
    this.#socket.write(request)
  }

  end(): void {
    this.#socket?.destroy()
  }

  #open(): Socket {
    // One buffer for all that is read: nobody looks at it twice.
    const onread = { buffer: READ_BUFFER, callback: (size: number, buffer: Uint8Array) => this.#onData(size, buffer) }
    const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true, onread } as never)
    socket.on('error', fail)
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = null
      if (this.#left !== -1 || this.#head !== '') fail(new Error('the connection broke in the middle of an answer'))
    })
    return socket
  }

  #onData(size: number, buffer: Uint8Array): boolean {
    if (this.#left === -1) this.#onHead(Buffer.from(buffer.buffer, buffer.byteOffset, size).toString('latin1'))
    else this.#left -= size
    if (this.#left === 0) this.#answered()
    return true
  }

  #onHead(text: string): void {
    this.#head += text
    const end = this.#head.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = this.#head.slice(0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (!head.startsWith('HTTP/1.1 200') || length === undefined) {
      fail(new Error(`the answer was ${head}`))
      return
    }
    this.#closes = /\r\nconnection: *close/i.test(head)
    this.#left = Number(length) - (this.#head.length - end - 4)
  }

  #answered(): void {
    times.push(performance.now() - this.#since)
    this.#left = -1
    this.#head = ''
    if (this.#closes) {
      this.#socket?.destroy()
      this.#socket = null
    }
    const next = order.rate === undefined ? performance.now() : due.shift()
    if (over) this.end()
    else if (next === undefined) idle.push(this)
    else this.send(next)
  }
}

const READ_BUFFER = new Uint8Array(262_144)
const begun = { at: performance.now(), cpu: process.cpuUsage() }
const connections = Array.from({ length: order.connections }, () => new Connection())
if (order.rate === undefined) for (const connection of connections) connection.send(performance.now())
else pace(order.rate)
setTimeout(finish, order.durationMs)

function pace(rate: number): void {
  idle.push(...connections)
  const first = performance.now()
  let sent = 0
  setInterval(() => {
    const now = performance.now()
    for (; !over && first + (sent * 1_000) / rate <= now; sent += 1) {
      const free = idle.pop()
      if (free === undefined) due.push(now)
      else free.send(now)
    }
  }, 1)
}

function finish(): void {
  over = true
  const { user, system } = process.cpuUsage(begun.cpu)
  const seconds = (performance.now() - begun.at) / 1_000
  const result: LoadResult = {
    requests: times.length,
    seconds,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    clientShare: (user + system) / 1e6 / seconds,
  }
  process.stdout.write(JSON.stringify(result), () => process.exit(0))
}

function fail(error: Error): void {
  if (over) return
  process.stderr.write(`load client: ${error.message}\n`)
  process.exit(1)
}
