import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { canLog, type RunnerDriver, type RunnerHandle } from '../runners/driver.ts'
import { Collector } from './collector.ts'
import { LOG_LIMITS, type LogLimits, ServiceLog } from './service-log.ts'
import { Turns } from './turns.ts'

export interface LogKeeperOptions {
  /** `<state>/logs`: a directory per service id. */
  readonly directory: string
  readonly now: () => Date
  readonly warn: (id: string, error: unknown) => void
  readonly limits?: LogLimits
}

/** One attempt whose output is wanted. */
export interface LogSource {
  readonly id: string
  readonly attempt: number
  readonly driver: RunnerDriver
  readonly handle: RunnerHandle
}

interface Held {
  readonly log: Promise<ServiceLog>
  collector: { readonly attempt: number; readonly of: Collector } | null
  /** One thing after the other: collectors of one log must never meet. */
  queue: Promise<void>
  pending: number
}

/** Keeps the logs of all services: collects while cocoons run, and lets them be read as long as they are kept. */
export class LogKeeper {
  readonly #options: LogKeeperOptions
  readonly #turns = new Turns()
  readonly #held = new Map<string, Held>()
  #closed = false

  constructor(options: LogKeeperOptions) {
    this.#options = options
  }

  /** The clock that times lines for which their runner has no time. */
  now(): Date {
    return this.#options.now()
  }

  /** Begins to collect, unless that attempt is being collected already. */
  collect(source: LogSource): void {
    const { id, attempt, driver, handle } = source
    if (!canLog(driver) || this.#closed) return
    this.#inTurn(id, async (held) => {
      if (held.collector?.attempt === attempt || this.#closed) return
      await held.collector?.of.stop()
      const parts = { driver, handle, log: await held.log, turns: this.#turns, now: this.#options.now }
      held.collector = { attempt, of: new Collector({ ...parts, warn: (error) => this.#options.warn(id, error) }) }
    }).catch((error: unknown) => this.#options.warn(id, error))
  }

  /**
   * The cocoon has ended, and what it wrote may be removed from its runner after this: takes what is left of it.
   * Does its best within the signal; never throws.
   */
  async drain(source: LogSource, signal: AbortSignal): Promise<void> {
    const { id, driver, handle } = source
    if (!canLog(driver) || this.#closed) return
    const parts = { driver, handle, turns: this.#turns, now: this.#options.now, warn: () => undefined }
    await this.#inTurn(id, async (held) => {
      const { collector } = held
      held.collector = null
      await collector?.of.stop()
      const log = await held.log
      const last = new Collector({ ...parts, log })
      await last.finish(signal)
      await log.close()
    }).catch((error: unknown) => {
      if (!signal.aborted) this.#options.warn(id, error)
    })
  }

  /** True while something may still be added to the log of a service. */
  isCollecting(id: string): boolean {
    const held = this.#held.get(id)
    return held !== undefined && (held.collector !== null || held.pending > 0)
  }

  open(id: string): Promise<ServiceLog> {
    return this.#hold(id).log
  }

  /** Removes the log for good. */
  async forget(id: string): Promise<void> {
    await this.#inTurn(id, async (held) => {
      await held.collector?.of.stop()
      await (await held.log).close()
    }).catch(() => undefined) // it is removed, whatever was wrong with it
    this.#held.delete(id)
    await rm(join(this.#options.directory, id), { recursive: true, force: true })
  }

  /** Removes what a Hive has left that died while it forgot a service. */
  async sweep(isKnown: (id: string) => boolean): Promise<void> {
    const names = await readdir(this.#options.directory).catch(() => [])
    for (const id of names) if (!isKnown(id)) await this.forget(id)
  }

  async close(): Promise<void> {
    this.#closed = true
    const each = [...this.#held.values()].map(async (held) => {
      await held.queue
      await held.collector?.of.stop()
      await (await held.log).close()
    })
    await Promise.allSettled(each)
  }

  #inTurn(id: string, work: (held: Held) => Promise<void>): Promise<void> {
    const held = this.#hold(id)
    held.pending++
    const done = held.queue.then(() => work(held)).finally(() => held.pending--)
    held.queue = done.catch(() => undefined) // the caller gets the error; the queue goes on
    return done
  }

  #hold(id: string): Held {
    const known = this.#held.get(id)
    if (known) return known
    const log = ServiceLog.open(join(this.#options.directory, id), this.#options.limits ?? LOG_LIMITS)
    log.catch(() => {
      // Whoever asked gets the error; the next one tries again.
      this.#held.delete(id)
    })
    const held: Held = { log, collector: null, queue: Promise.resolve(), pending: 0 }
    this.#held.set(id, held)
    return held
  }
}
