import { setTimeout as delay } from 'node:timers/promises'
import type { HealthCheck } from '../kinds/kind.ts'
import type { Endpoint } from '../runners/driver.ts'
import { runProbe } from './probe.ts'

/** How a check reaches its cocoon. */
export interface CheckTarget {
  /** The address of a port inside the cocoon (null = the exposed one); null = there is none. */
  addressOf(port: number | null): Endpoint | null
  /** True if the cocoon's own process listens there. */
  listens(port: number | null, signal: AbortSignal): Promise<boolean>
  /** Runs a command inside the cocoon; null = the runner cannot. */
  readonly exec: ((command: readonly string[], signal: AbortSignal) => Promise<{ readonly code: number }>) | null
}

/** One line of the transcript. */
export interface Probe {
  readonly time: string
  /** Index of the check in the kind's list. */
  readonly check: number
  readonly type: HealthCheck['type']
  readonly ok: boolean
  readonly ms: number
  readonly detail: string
}

export interface CheckerOptions {
  readonly checks: readonly HealthCheck[]
  readonly target: CheckTarget
  /** What is believed before the first probe: a new cocoon is starting, an adopted one was passing. */
  readonly from: 'starting' | 'passing'
  /** Epoch milliseconds of the cocoon's start. */
  readonly startedAt: number
  readonly now: () => Date
  readonly onProbe: (probe: Probe) => void
}

interface CheckState {
  failures: number
  health: 'starting' | 'passing' | 'failing'
}

const FIRST_MS = 10
const FACTOR = 1.3
/** An unready cocoon is probed this often (design 5). */
const UNREADY_MS = 200
const JITTER = 0.1

/** False = not the cocoon's own doing: the failures so far do not count. */
type OnHealth = (health: 'passing' | 'failing') => Promise<boolean>

/** Probes every check of one cocoon, each on its own beat with one probe in flight, and says what they amount to. */
export class HealthChecker {
  readonly #options: CheckerOptions
  readonly #states: CheckState[]
  #said: 'starting' | 'passing' | 'failing'

  constructor(options: CheckerOptions) {
    this.#options = options
    this.#said = options.from
    this.#states = options.checks.map(() => ({ failures: 0, health: options.from }))
  }

  /** Resolves when the signal aborts. `onHealth` hears changes only, one after the other. */
  async run(signal: AbortSignal, onHealth: OnHealth): Promise<void> {
    const loops = this.#options.checks.map((check, index) => this.#loop(check, index, { signal, onHealth }))
    const results = await Promise.allSettled(loops)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed && !signal.aborted) throw failed.reason
  }

  async #loop(check: HealthCheck, index: number, run: { signal: AbortSignal; onHealth: OnHealth }): Promise<void> {
    const { signal } = run
    for (let unready = FIRST_MS; !signal.aborted; unready = Math.min(UNREADY_MS, unready * FACTOR)) {
      await this.#probe(check, index, signal)
      signal.throwIfAborted()
      await this.#say(run.onHealth)
      const starting = this.#states[index]?.health === 'starting'
      await delay(starting ? Math.min(unready, check.intervalMs) : jittered(check.intervalMs), undefined, { signal })
    }
  }

  async #probe(check: HealthCheck, index: number, signal: AbortSignal): Promise<void> {
    const since = performance.now()
    const { ok, detail } = await runProbe(check, this.#options.target, signal)
    if (signal.aborted) return
    const time = this.#options.now().toISOString()
    this.#options.onProbe({
      time,
      check: index,
      type: check.type,
      ok,
      ms: Math.round(performance.now() - since),
      detail,
    })
    const state = this.#states[index]
    if (state) judge(state, ok, { check, inStartPeriod: this.#inStartPeriod(check) })
  }

  #inStartPeriod(check: HealthCheck): boolean {
    return this.#options.now().getTime() - this.#options.startedAt < check.startPeriodMs
  }

  async #say(onHealth: OnHealth): Promise<void> {
    const health = summary(this.#states)
    if (health === this.#said || health === 'starting') return
    const before = this.#said
    // Set first: the other checks' loops must not say the same meanwhile.
    this.#said = health
    if (await onHealth(health)) return
    this.#said = before
    for (const state of this.#states.filter((each) => each.health === 'failing')) {
      state.failures = 0
      state.health = 'passing'
    }
  }
}

/** One pass heals; only `retries` failures in a row, outside the start period, make it fail. */
function judge(
  state: CheckState,
  ok: boolean,
  { check, inStartPeriod }: { check: HealthCheck; inStartPeriod: boolean },
): void {
  if (ok) {
    state.failures = 0
    state.health = 'passing'
    return
  }
  if (state.health === 'starting' || inStartPeriod) return
  state.failures++
  if (state.failures >= check.retries) state.health = 'failing'
}

function summary(states: readonly CheckState[]): 'starting' | 'passing' | 'failing' {
  if (states.some(({ health }) => health === 'failing')) return 'failing'
  return states.every(({ health }) => health === 'passing') ? 'passing' : 'starting'
}

function jittered(ms: number): number {
  return ms * (1 - JITTER + 2 * JITTER * Math.random())
}
