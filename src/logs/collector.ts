import { setTimeout as delay } from 'node:timers/promises'
import type { LogCapable, RunnerHandle } from '../runners/driver.ts'
import type { ServiceLog } from './service-log.ts'
import type { Turns } from './turns.ts'

export interface CollectorParts {
  readonly driver: LogCapable
  readonly handle: RunnerHandle
  readonly log: ServiceLog
  readonly turns: Turns
  readonly now: () => Date
  /** Says once that collecting does not work, and why. */
  readonly warn: (error: unknown) => void
}

const RETRY_MS = 1_000
const RETRY_AT_MOST_MS = 30_000

/** Carries one attempt's output into its service's log until it is told that the cocoon has ended. */
export class Collector {
  readonly #parts: CollectorParts
  readonly #over = new AbortController()
  readonly #following: Promise<void>

  constructor(parts: CollectorParts) {
    this.#parts = parts
    this.#following = this.#follow()
  }

  /** Stops where it is; the next collector goes on there. */
  async stop(): Promise<void> {
    this.#over.abort()
    await this.#following
  }

  /** The cocoon has ended: takes what is left. @throws RunnerUnreachable · The signal's reason. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.stop()
    await carry(this.#parts, false, signal)
  }

  async #follow(): Promise<void> {
    const { signal } = this.#over
    for (let waitMs = RETRY_MS; !signal.aborted; ) {
      const before = this.#parts.log.position
      try {
        await carry(this.#parts, true, signal)
      } catch (error) {
        if (!signal.aborted) this.#parts.warn(error)
      }
      waitMs = before === this.#parts.log.position ? Math.min(waitMs * 2, RETRY_AT_MOST_MS) : RETRY_MS
      await delay(waitMs, undefined, { signal }).catch(() => undefined) // told to stop
    }
  }
}

/** Each batch is in the log before the next is asked for. */
export async function carry(parts: CollectorParts, follow: boolean, signal: AbortSignal): Promise<void> {
  const { driver, handle, log, turns } = parts
  for await (const batch of driver.logs(handle, { position: log.position, follow }, signal)) {
    const done = await turns.take(signal)
    try {
      await log.append(batch, parts.now().toISOString())
    } finally {
      done()
    }
    if (signal.aborted) return
  }
}
