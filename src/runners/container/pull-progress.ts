import type { PrepareProgress } from '../driver.ts'

interface Layer {
  current: number
  total: number | null
  state: 'waiting' | 'downloading' | 'downloaded' | 'done'
}

interface PullEvent {
  readonly status?: unknown
  readonly id?: unknown
  readonly progressDetail?: { readonly current?: unknown; readonly total?: unknown } | null
  readonly error?: unknown
  readonly errorDetail?: { readonly message?: unknown } | null
}

/** Adds the events of a pull up to bytes and layers. */
export class PullProgress {
  readonly #image: string
  readonly #layers = new Map<string, Layer>()

  constructor(image: string) {
    this.#image = image
  }

  /** True while the engine only unpacks, which it may do for long without a word. */
  get isUnpacking(): boolean {
    const layers = [...this.#layers.values()]
    return layers.length > 0 && layers.every(isThere)
  }

  /** @returns the progress, or null if the event changed nothing. */
  add(event: unknown): PrepareProgress | null {
    const { status, id, progressDetail } = event as PullEvent
    if (typeof status !== 'string' || typeof id !== 'string') return null
    const before = JSON.stringify(this.#layers.get(id))
    this.#apply(status, id, count(progressDetail?.current), count(progressDetail?.total))
    return JSON.stringify(this.#layers.get(id)) === before ? null : this.snapshot()
  }

  snapshot(): PrepareProgress {
    const layers = [...this.#layers.values()]
    const sized = layers.filter(({ total }) => total !== null)
    const done = layers.filter(isThere).length
    return {
      phase: 'pull',
      message: this.#message(done, layers.length),
      currentBytes: sized.length === 0 ? null : sum(sized.map(({ current }) => current)),
      totalBytes: sized.length === 0 ? null : sum(sized.map(({ total }) => total ?? 0)),
      layersDone: layers.length === 0 ? null : done,
      layersTotal: layers.length === 0 ? null : layers.length,
    }
  }

  #message(done: number, total: number): string {
    if (total === 0) return `pulling ${this.#image}`
    return done === total ? `unpacking ${this.#image}` : `pulling ${this.#image}: ${done} of ${total} layers`
  }

  #apply(status: string, id: string, current: number | null, total: number | null): void {
    // "Pulling from team/app" carries the tag as its id.
    if (status.startsWith('Pulling from')) return
    const layer = this.#layers.get(id) ?? { current: 0, total: null, state: 'waiting' }
    this.#layers.set(id, layer)
    if (status === 'Downloading') {
      Object.assign(layer, { current: current ?? layer.current, total: total ?? layer.total, state: 'downloading' })
    } else if (status === 'Verifying Checksum' || status === 'Download complete' || status === 'Extracting') {
      Object.assign(layer, { current: layer.total ?? total ?? layer.current, state: 'downloaded' })
    } else if (status === 'Pull complete' || status === 'Already exists') {
      Object.assign(layer, { current: layer.total ?? layer.current, state: 'done' })
    }
  }
}

/** Podman never says that a layer is unpacked, so a loaded one counts. */
function isThere({ state }: Layer): boolean {
  return state === 'downloaded' || state === 'done'
}

/** The text of an error event; such events come inside an answer of status 200. */
export function pullError(event: unknown): string | null {
  const { error, errorDetail } = event as PullEvent
  const text = errorDetail?.message ?? error
  return typeof text === 'string' ? text : null
}

function count(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 ? value : null
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
