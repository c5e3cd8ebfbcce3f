import { readdirSync, readFileSync, statSync } from 'node:fs'

/** How many file descriptors this process has open, and may have. */
export interface DescriptorUse {
  readonly open: number
  readonly limit: number
}

/** Kept back for Hive's own work (state files, engines, launches, probes): a quarter of the limit, within these. */
const LEAST_RESERVE = 48
const MOST_RESERVE = 512
/** How old a count may get; and how old it must be before it is taken anew when there is no room, in milliseconds. */
const FRESH_MS = 1_000
const RECOUNT_MS = 100

export interface DescriptorOptions {
  readonly read?: () => DescriptorUse | null
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

/**
 * Says whether there is room for another descriptor, so that Hive never runs out of them: then it could neither write
 * its table nor end a cocoon. Between two counts it adds what it admitted and misses what was closed. Work for cocoons
 * ends at the reserve, connections at half of it: those in between reach the control API, or are refused in words.
 */
export class Descriptors {
  readonly #read: () => DescriptorUse | null
  readonly #now: () => number
  #countedAt = Number.NEGATIVE_INFINITY
  #use: DescriptorUse | null = null
  #admitted = 0

  constructor(options: DescriptorOptions = {}) {
    this.#read = options.read ?? descriptorUse
    this.#now = options.now ?? (() => performance.now())
  }

  /** Takes note of a connection that was accepted. False = it must be given back. */
  admitsConnection(): boolean {
    if (!this.#hasRoom(0.5)) return false
    this.#admitted += 1
    return true
  }

  /** Takes note of a connection to a cocoon that will be opened. False = it must not be. */
  admitsDial(): boolean {
    if (!this.admitsWork()) return false
    this.#admitted += 1
    return true
  }

  /** As `admitsDial` for what most often finds a connection that is open already. */
  admitsWork(): boolean {
    return this.#hasRoom(1)
  }

  #hasRoom(share: number): boolean {
    const age = this.#now() - this.#countedAt
    if (age >= FRESH_MS) this.#count()
    if (this.#fits(share)) return true
    if (age < RECOUNT_MS || age >= FRESH_MS) return false
    this.#count()
    return this.#fits(share)
  }

  #fits(share: number): boolean {
    if (this.#use === null) return true
    const { open, limit } = this.#use
    const reserve = Math.min(MOST_RESERVE, Math.max(LEAST_RESERVE, limit / 4))
    return open + this.#admitted < limit - reserve * share
  }

  #count(): void {
    this.#use = this.#read()
    this.#admitted = 0
    this.#countedAt = this.#now()
  }
}

/** From procfs: null where there is none, such as on macOS; there nothing is kept back. */
function descriptorUse(): DescriptorUse | null {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    if (soft === undefined) return null // unlimited
    // Since Linux 6.2 the size is the number of entries; before it was 0.
    return { limit: Number(soft), open: statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'EMFILE' || code === 'ENFILE' ? { limit: 0, open: 1 } : null
  }
}
