import { setTimeout as delay } from 'node:timers/promises'
import type { KindSpec, RunnerType } from '../kinds/kind.ts'
import type { Availability, KindFacts, RunnerDriver } from './driver.ts'

const PROBE_EVERY_MS = 5_000
const PROBE_DEADLINE_MS = 5_000
const NOT_YET = 'it has not answered since Hive started'

export interface RunnerState extends Availability {
  readonly runner: RunnerType
}

/** All drivers, and what each last said about its runner. Asks again every 5 s; never throws for one that is down. */
export class RunnerSet {
  readonly drivers: ReadonlyMap<RunnerType, RunnerDriver>
  readonly #states = new Map<RunnerType, RunnerState>()
  readonly #onChange: (state: RunnerState) => void
  readonly #onReturn = new Set<() => void>()
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | null = null

  constructor(drivers: readonly RunnerDriver[], onChange: (state: RunnerState) => void) {
    this.drivers = new Map(drivers.map((driver) => [driver.type, driver]))
    this.#onChange = onChange
  }

  /**
   * Probes at once and from then on regularly. Resolves when every runner has answered, at the latest after
   * `patienceMs`: one that hangs does not keep Hive from all the others.
   */
  async start(patienceMs: number): Promise<void> {
    const answered = new AbortController()
    const patience = delay(patienceMs, undefined, { signal: answered.signal }).catch(() => undefined)
    await Promise.race([this.#regularly(), patience])
    answered.abort()
  }

  async #regularly(): Promise<void> {
    await this.refresh()
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => void this.#regularly(), PROBE_EVERY_MS)
    this.#timer.unref()
  }

  async refresh(): Promise<void> {
    await Promise.all([...this.drivers.values()].map((driver) => this.#probe(driver)))
  }

  /** Calls back each time a runner answers again that did not before. */
  onReturn(listener: () => void): void {
    this.#onReturn.add(listener)
  }

  state(runner: RunnerType): RunnerState {
    return this.#states.get(runner) ?? { runner, available: false, reason: NOT_YET }
  }

  /** Why nothing of this kind can be launched; null = it can, or its runner has not answered yet. */
  whyDown(kind: KindSpec): string | null {
    if (this.drivers.has(kind.runner_type) && !this.#states.has(kind.runner_type)) return null
    const { available, reason } = this.describe(kind)
    return available ? null : (reason ?? `runner ${kind.runner_type} is not available`)
  }

  /** What GET /kinds says of a kind: its runner's state first, then what the driver knows of the config. */
  describe(kind: KindSpec): KindFacts {
    const driver = this.drivers.get(kind.runner_type)
    const { available, reason } = this.state(kind.runner_type)
    if (!driver) return { available: false, reason: 'there is no such runner', isolated: false, containment: 'none' }
    const facts = driver.describe(kind.config)
    return available ? facts : { ...facts, available: false, reason }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    if (this.#timer) clearTimeout(this.#timer)
    await Promise.all([...this.drivers.values()].map((driver) => driver.close()))
  }

  async #probe(driver: RunnerDriver): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PROBE_DEADLINE_MS)])
    const before = this.#states.get(driver.type)
    const answer = await driver.probe(signal).catch((error: unknown) => ({ available: false, reason: String(error) }))
    const state = { runner: driver.type, available: answer.available, reason: answer.reason }
    this.#states.set(driver.type, state)
    if (before?.available === state.available) return
    this.#onChange(state)
    if (state.available) for (const listener of this.#onReturn) listener()
  }
}
