import type { Route, RouteAnswer, RouteTable } from '../proxy/target.ts'
import type { Activity } from './activity.ts'
import { isPaused } from './duties/look-for-paused.ts'
import { isEnded, type ServiceRow } from './state/record.ts'
import { isUnwanted } from './state/transition.ts'

const RETRY_AFTER_S = 1

type ClosedListener = (closed: { readonly id: string; readonly attempt: number }) => void

/** The proxy's route table: one answer per name, made when something changes, looked up without work. */
export class RouteAnswers implements RouteTable {
  readonly #activity: Activity
  readonly #answers = new Map<string, RouteAnswer>()
  /** Attempt of each service whose own listener has been seen. */
  readonly #listening = new Map<string, number>()
  /** Services that are about to be stopped as idle: from the decision until it is durable. */
  readonly #resting = new Set<string>()
  readonly #closedListeners = new Set<ClosedListener>()
  /** Requests held until the answer of a name is another one. */
  readonly #held = new Map<string, Set<() => void>>()
  #wake: (id: string) => Promise<void> = async () => undefined

  constructor(activity: Activity) {
    this.#activity = activity
  }

  lookup(name: string): RouteAnswer {
    return this.#answers.get(name) ?? { answer: 'unknown' }
  }

  onClosed(listener: ClosedListener): () => void {
    this.#closedListeners.add(listener)
    return () => this.#closedListeners.delete(listener)
  }

  /** @param wake  asks for an idle-stopped service to be started again; rejects if that cannot be stored. */
  setWaker(wake: (id: string) => Promise<void>): void {
    this.#wake = wake
  }

  isListening(id: string, attempt: number): boolean {
    return this.#listening.get(id) === attempt
  }

  setListening(id: string, attempt: number): void {
    this.#listening.set(id, attempt)
  }

  setResting(id: string, resting: boolean): void {
    if (resting) this.#resting.add(id)
    else this.#resting.delete(id)
  }

  /** Makes the answer anew. To be called for the owner of a name only. */
  refresh(row: ServiceRow): void {
    const { name } = row.record
    const answer = this.#answer(row)
    this.#answers.set(name, answer)
    if (answer.answer !== 'sleeping') this.#release(name)
  }

  close({ record: { id, attempt } }: ServiceRow): void {
    for (const listener of this.#closedListeners) listener({ id, attempt })
  }

  forget(id: string): void {
    this.#listening.delete(id)
    this.#resting.delete(id)
  }

  forgetName(name: string): void {
    this.#answers.delete(name)
    this.#release(name)
  }

  #answer(row: ServiceRow): RouteAnswer {
    const { id, attempt, desired, health } = row.record
    // From the wish on: what goes to it now would be broken off.
    const state = row.record.state === 'running' && isUnwanted(row) ? 'stopping' : row.record.state
    if (state === 'removed') return { answer: 'removed' }
    if (row.config.wake && this.#isAsleep(row)) return this.#sleeping(row)
    const mayCome =
      desired === 'running' && (!isEnded(state) || row.targetAttempt > attempt || row.record.next_attempt_at !== null)
    if (state !== 'running') return mayCome ? waiting(howComing(state, row)) : { answer: 'ended', state }
    if (row.endpoint === null) return { answer: 'no-endpoint' }
    if (isPaused(row)) return waiting('paused')
    if (health === 'failing') return waiting('running, but fails its health checks')
    if (this.#resting.has(id)) return waiting(state)
    if (!this.isListening(id, attempt)) return waiting(whyNotHeard(row))
    return { answer: 'open', route: this.#routeOf(row, row.endpoint) }
  }

  /** Stopped as idle, about to be, or on its way back. */
  #isAsleep({ record, intent, endpoint, targetAttempt }: ServiceRow): boolean {
    const { id, attempt, state, desired } = record
    if (this.#resting.has(id)) return true
    if (desired === 'stopped') return intent.by === 'idle'
    if (desired !== 'running' || intent.by !== 'wake') return false
    if (state === 'running' && targetAttempt <= attempt) return endpoint !== null && !this.isListening(id, attempt)
    return !isEnded(state) || targetAttempt > attempt || record.next_attempt_at !== null
  }

  #sleeping({ record, config }: ServiceRow): RouteAnswer {
    const { id, name, desired } = record
    const isDue = desired !== 'running' || this.#resting.has(id)
    const wake = async (signal: AbortSignal) => {
      if (isDue) await this.#wake(id)
      await this.#untilReleased(name, signal)
    }
    return { answer: 'sleeping', retryAfterS: RETRY_AFTER_S, allowOrigins: config.allowOrigins, wake }
  }

  #untilReleased(name: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.lookup(name).answer !== 'sleeping') return Promise.resolve()
    return new Promise((resolve) => {
      const held = this.#held.get(name) ?? new Set()
      this.#held.set(name, held)
      const finish = () => {
        held.delete(finish)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      held.add(finish)
      signal.addEventListener('abort', finish, { once: true })
    })
  }

  #release(name: string): void {
    const held = this.#held.get(name)
    this.#held.delete(name)
    for (const finish of held ?? []) finish()
  }

  #routeOf(row: ServiceRow, endpoint: Route['endpoint']): Route {
    const { id, attempt, name, kind } = row.record
    const { stripPrefix, allowOrigins, idleTimeoutMs } = row.config
    const activity = idleTimeoutMs === null ? null : this.#activity.sink(id)
    return { id, attempt, name, kind, endpoint, ports: row.leases, stripPrefix, allowOrigins, activity }
  }
}

function howComing(state: string, { record }: ServiceRow): string {
  return record.next_attempt_at === null ? state : `${state}, and is started again soon`
}

function whyNotHeard({ record: { runner, error } }: ServiceRow): string {
  const isAway = error?.code === 'HIVE_RUNNER_UNAVAILABLE'
  return isAway
    ? `running as far as is known, but its runner (${runner}) does not answer, so that nobody can say whether it listens`
    : 'running, but does not listen on its port yet'
}

function waiting(state: string): RouteAnswer {
  return { answer: 'waiting', retryAfterS: RETRY_AFTER_S, state }
}
