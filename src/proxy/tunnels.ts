import type { Socket } from 'node:net'
import { FrameScan } from './frames.ts'
import type { ProxyLimits } from './limits.ts'
import { attemptKey } from './pools.ts'
import type { ActivitySink } from './target.ts'
import type { TrafficMeter } from './traffic.ts'
import { bytesPassed } from './young-garbage.ts'

interface Attempt {
  readonly id: string
  readonly attempt: number
  readonly activity?: ActivitySink | null
  /** False = any protocol: then every byte counts as activity. */
  readonly isWebSocket?: boolean
  /** Counts its bytes; absent = nobody does. */
  readonly meter?: TrafficMeter
}

export interface Endable {
  end(): void
}

/** Spliced connections, each ended when its attempt ends, when it idles too long, or with Hive. */
export class Tunnels {
  readonly #open = new Map<string, Set<Endable>>()
  readonly #limits: ProxyLimits

  constructor(limits: ProxyLimits) {
    this.#limits = limits
  }

  /** Open tunnels and upgrades under way, for metrics and tests. */
  get count(): number {
    let count = 0
    for (const tunnels of this.#open.values()) count += tunnels.size
    return count
  }

  /** Joins two sockets until both directions have ended. Bytes already read from either must have been put back. */
  splice(attempt: Attempt, client: Socket, upstream: Socket): void {
    if (attempt.activity)
      for (const socket of [client, upstream]) watchData(socket, attempt.activity, attempt.isWebSocket === true)
    if (attempt.meter) countData(attempt.meter, client, upstream)
    const tunnel = new Tunnel(client, upstream, this.#limits)
    const forget = this.track(attempt, tunnel)
    const { meter } = attempt
    meter?.tunnelOpened()
    tunnel.whenOver(() => {
      forget()
      meter?.tunnelClosed()
    })
  }

  /**
   * Has something ended together with an attempt, such as an upgrade that is still being dialled.
   *
   * @returns  A function that forgets it.
   */
  track(attempt: Attempt, tunnel: Endable): () => void {
    const key = attemptKey(attempt)
    const tunnels = this.#open.get(key) ?? new Set()
    this.#open.set(key, tunnels)
    tunnels.add(tunnel)
    return () => {
      tunnels.delete(tunnel)
      if (tunnels.size === 0 && this.#open.get(key) === tunnels) this.#open.delete(key)
    }
  }

  close(attempt: Attempt): void {
    for (const tunnel of this.#open.get(attemptKey(attempt)) ?? []) tunnel.end()
  }

  closeAll(): void {
    for (const tunnels of this.#open.values()) for (const tunnel of tunnels) tunnel.end()
  }
}

/** Beside the pipe, which paces the socket: this only looks. */
function watchData(socket: Socket, activity: ActivitySink, isWebSocket: boolean): void {
  const scan = isWebSocket ? new FrameScan() : null
  socket.on('data', (chunk: Buffer) => {
    if (scan === null || scan.sawData(chunk)) activity.note('tunnel')
  })
}

function countData(meter: TrafficMeter, client: Socket, upstream: Socket): void {
  client.on('data', (chunk: Buffer) => {
    meter.received(chunk.length)
    bytesPassed(chunk.length)
  })
  upstream.on('data', (chunk: Buffer) => {
    meter.sent(chunk.length)
    bytesPassed(chunk.length)
  })
}

/** How long an ended tunnel may take to flush what it holds. */
const FLUSH_MS = 1_000

class Tunnel {
  readonly #client: Socket
  readonly #upstream: Socket
  #onOver: (() => void) | null = null

  constructor(client: Socket, upstream: Socket, limits: ProxyLimits) {
    this.#client = client
    this.#upstream = upstream
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.setKeepAlive(true, limits.tcpKeepAliveMs)
      socket.on('error', this.#destroy)
      socket.on('close', this.#destroy)
      socket.on('timeout', this.#destroy)
      // Half closed, the other direction may finish, but a peer that never does is not waited for.
      socket.once('end', () => socket.setTimeout(limits.tunnelLingerMs))
    }
    // A byte in either direction is read on one socket and written on the other, so one clock sees both.
    client.setTimeout(limits.tunnelIdleMs)
    // pipe() passes on an end as an end, and pauses one side while the other does not drain.
    client.pipe(upstream)
    upstream.pipe(client)
  }

  whenOver(listener: () => void): void {
    this.#onOver = listener
  }

  /** Lets what was accepted go out, then closes both sides. */
  end(): void {
    this.#client.destroySoon()
    this.#upstream.destroySoon()
    setTimeout(this.#destroy, FLUSH_MS).unref()
  }

  readonly #destroy = (): void => {
    this.#client.destroy()
    this.#upstream.destroy()
    this.#onOver?.()
    this.#onOver = null
  }
}
