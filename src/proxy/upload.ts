import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { ProxyLimits } from './limits.ts'
import type { TrafficMeter } from './traffic.ts'
import { bytesPassed } from './young-garbage.ts'

export type StalledSide = 'client' | 'cocoon'

export interface UploadWatcher {
  readonly onStalled: (side: StalledSide) => void
  readonly meter: TrafficMeter
}

/**
 * A request's body on its way to the cocoon, with backpressure. A stream of its own, since undici destroys the stream
 * it was given when the exchange breaks, and destroying the request would cut the client off before its answer.
 */
export class Upload extends Readable {
  readonly #source: IncomingMessage
  readonly #limits: ProxyLimits
  readonly #onStalled: (side: StalledSide) => void
  readonly #meter: TrafficMeter
  #attached = false
  #waitsFor: StalledSide = 'cocoon'
  #movedAt = performance.now()
  #watch: NodeJS.Timeout | null = null

  constructor(source: IncomingMessage, limits: ProxyLimits, { onStalled, meter }: UploadWatcher) {
    super()
    this.#source = source
    this.#limits = limits
    this.#onStalled = onStalled
    this.#meter = meter
    // Errors reach the exchange through undici; one that comes after the exchange is over concerns nobody.
    this.on('error', () => undefined)
  }

  override _read(): void {
    this.#moved('client')
    if (!this.#attached) this.#attach()
    this.#source.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#watch !== null) clearTimeout(this.#watch)
    if (this.#attached) {
      this.#source.pause()
      this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    }
    callback(error)
  }

  #attach(): void {
    this.#attached = true
    this.#source.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
    this.#arm(this.#limits.uploadIdleMs)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#moved('client')
    this.#meter.received(chunk.length)
    bytesPassed(chunk.length)
    if (this.push(chunk)) return
    this.#moved('cocoon')
    this.#source.pause()
  }

  readonly #onEnd = (): void => {
    if (this.#watch !== null) clearTimeout(this.#watch)
    this.push(null)
  }

  readonly #onClose = (): void => {
    if (!this.#source.readableEnded) this.destroy(new Error('the client went away'))
  }

  #moved(waitsFor: StalledSide): void {
    this.#movedAt = performance.now()
    this.#waitsFor = waitsFor
  }

  /** One timer that looks again instead of one that is reset with every chunk; the limit may change in between. */
  #arm(leftMs: number): void {
    const { uploadIdleMs, bodyIdleMs } = this.#limits
    this.#watch = setTimeout(this.#look, Math.min(leftMs, uploadIdleMs, bodyIdleMs))
  }

  readonly #look = (): void => {
    const limitMs = this.#waitsFor === 'client' ? this.#limits.uploadIdleMs : this.#limits.bodyIdleMs
    const leftMs = limitMs - (performance.now() - this.#movedAt)
    if (leftMs > 0) this.#arm(leftMs)
    else this.#onStalled(this.#waitsFor)
  }
}

/** RFC 9112 §6.3: a request has a body if it says how that is framed, whatever its method. */
export function hasBody(req: IncomingMessage): boolean {
  if (req.headers['transfer-encoding'] !== undefined) return true
  const length = req.headers['content-length']
  return length !== undefined && length !== '0'
}
