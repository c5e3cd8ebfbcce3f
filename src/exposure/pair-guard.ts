import { setTimeout as delay } from 'node:timers/promises'
import { type RunnerDriver, reachesHost } from '../runners/driver.ts'
import { isActive, type ServiceRow } from '../services/state/record.ts'

export interface PairGuardOptions {
  readonly rowOf: (id: string) => ServiceRow | undefined
  readonly driverOf: (row: ServiceRow) => RunnerDriver | undefined
}

interface Asked {
  readonly attempt: number
  readonly at: number
  /** null = the runner did not answer. */
  readonly addresses: Promise<readonly string[] | null>
}

/** A cocoon may dial before its runner has told Hive of it: so long it is held. */
const PATIENCE_MS = 5_000
const ASK_AGAIN_MS = 200

/**
 * Knows a container by its address in its engine's network, so that a relay which is there for one container is used by
 * no other of the same engine. What an address said holds for one attempt: after that the engine may give it away.
 */
export class PairGuard {
  readonly #options: PairGuardOptions
  readonly #asked = new Map<string, Asked>()

  constructor(options: PairGuardOptions) {
    this.#options = options
  }

  /** Whether this consumer dials from this address. Takes at most some seconds; never throws. */
  async isAt(id: string, address: string): Promise<boolean> {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    while (!signal.aborted) {
      const row = this.#options.rowOf(id)
      if (!row || !isActive(row.record.state)) return false
      const addresses = await this.#addresses(row, address)
      if (addresses?.includes(address)) return true
      // Once it runs, its addresses are settled: whoever dials from another one is somebody else.
      if (addresses !== null && row.record.state === 'running') return false
      await delay(ASK_AGAIN_MS, undefined, { ref: false })
    }
    return false
  }

  forget(id: string): void {
    this.#asked.delete(id)
  }

  async #addresses(row: ServiceRow, wanted: string): Promise<readonly string[] | null> {
    const { id, attempt } = row.record
    const before = this.#asked.get(id)
    if (before?.attempt === attempt) {
      const known = await before.addresses
      if (known?.includes(wanted) || performance.now() - before.at < ASK_AGAIN_MS) return known
      // Several came at once: one of them asks.
      if (this.#asked.get(id) !== before) return this.#addresses(row, wanted)
    }
    const asked = { attempt, at: performance.now(), addresses: this.#ask(row) }
    this.#asked.set(id, asked)
    return asked.addresses
  }

  async #ask(row: ServiceRow): Promise<readonly string[] | null> {
    const driver = this.#options.driverOf(row)
    if (!driver || !reachesHost(driver) || row.handle === null) return null
    return driver.addresses(row.handle, AbortSignal.timeout(PATIENCE_MS)).catch(() => null) // asked again while it is held
  }
}
