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
  /** True if what a probe finds is the cocoon's own doing: its runner answers, and says that it runs. */
  readonly isRunning: (signal: AbortSignal) => Promise<boolean>
}

interface CheckState {
  failures: number
  /** Its failing was seen with the runner there. */
  proven: boolean
  health: 'starting' | 'passing' | 'failing'
}

const FIRST_MS = 10
const FACTOR = 1.3
/** An unready cocoon is probed this often (design 5). */
const UNREADY_MS = 200
const JITTER = 0.1

type OnHealth = (health: 'passing' | 'failing') => Promise<void>

/** Probes every check of one cocoon, each on its own beat with one probe in flight, and says what they amount to. */
export class HealthChecker {
  readonly #options: CheckerOptions
  readonly #states: CheckState[]
  #said: 'starting' | 'passing' | 'failing'

  constructor(options: CheckerOptions) {
    this.#options = options
    this.#said = options.from
    this.#states = options.checks.map(() => ({ failures: 0, proven: false, health: options.from }))
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
      await this.#prove(check, index, signal)
      await this.#say(run.onHealth)
      const starting = this.#states[index]?.health === 'starting'
      await delay(starting ? Math.min(unready, check.intervalMs) : jittered(check.intervalMs), undefined, { signal })
    }
  }

  async #probe(check: HealthCheck, index: number, signal: AbortSignal): Promise<void> {
    const since = performance.now()
    const { ok, detail, isOfRunner = false } = await runProbe(check, this.#options.target, signal)
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
    if (state && !isOfRunner) judge(state, ok, { check, inStartPeriod: this.#inStartPeriod(check) })
  }

  #inStartPeriod(check: HealthCheck): boolean {
    return this.#options.now().getTime() - this.#options.startedAt < check.startPeriodMs
  }

  async #say(onHealth: OnHealth): Promise<void> {
    const health = summary(this.#states)
    if (health === this.#said || health === 'starting') return
    // Set first: the other checks' loops must not say the same meanwhile.
    this.#said = health
    await onHealth(health)
  }

  /**
   * What fails while the runner is away says nothing about the cocoon. The runner may have come back just with its
   * answer, so the check has to fail once more after it (F56). Until then it counts as passing: other loops look at it.
   */
  async #prove(check: HealthCheck, index: number, signal: AbortSignal): Promise<void> {
    const state = this.#states[index]
    if (state?.health !== 'failing' || state.proven) return
    state.health = 'passing'
    if (await this.#options.isRunning(signal)) await this.#probe(check, index, signal)
    else state.failures = 0
    signal.throwIfAborted()
    state.proven = state.failures > 0
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
    state.proven = false
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
