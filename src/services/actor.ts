import type { Logger } from 'pino'
import type { RunnerDriver } from '../runners/driver.ts'
import { act } from './actions/actions.ts'
import { Backoff } from './actions/backoff.ts'
import type { ActionContext, SupervisorParts } from './context.ts'
import type { Fact } from './state/fact.ts'
import { isEnded, type ServiceRow } from './state/record.ts'
import { type Action, type IntentRequest, intend, nextAction, observe, type Step } from './state/step.ts'

interface RunningAction {
  readonly key: string
  readonly abort: AbortController
  readonly done: Promise<void>
}

/**
 * Owns one service. Changes are serial: each is computed from the newest row and durable before the next begins.
 * Between changes exactly one action runs, the one that `nextAction` names; a change that makes another one right
 * aborts it. So a DELETE never waits behind a pull, and nothing is done that is not on the disk first.
 */
export class ServiceActor {
  readonly #parts: SupervisorParts
  readonly #context: ActionContext
  readonly #backoff = new Backoff(500, 30_000)
  #row: ServiceRow
  #changes: Promise<unknown> = Promise.resolve()
  #running: RunningAction | null = null
  #retry: NodeJS.Timeout | null = null
  #closed = false
  #ownLog: Logger | null = null

  constructor(parts: SupervisorParts, driver: RunnerDriver, row: ServiceRow) {
    this.#parts = parts
    this.#row = row
    const { id } = row.record
    const log = () => this.#log
    this.#context = {
      parts,
      driver,
      get log() {
        return log()
      },
      row: () => this.#row,
      observe: (attempt, fact) => this.observe(attempt, fact),
      intend: (request) => this.intend(request),
      progress: (progress) => parts.view.setProgress(id, toWire(progress)),
    }
  }

  get row(): ServiceRow {
    return this.#row
  }

  /** Made when there is something to say: at a start with a thousand services mostly nothing is. */
  get #log(): Logger {
    const { id, name, kind, request_id } = this.#row.record
    this.#ownLog ??= this.#parts.log.child({ service: name, id, kind, request_id })
    return this.#ownLog
  }

  intend(request: IntentRequest): Promise<Step> {
    return this.#change((row) => intend(row, request))
  }

  observe(attempt: number, fact: Fact): Promise<Step> {
    return this.#change((row) => observe(row, attempt, fact, this.#parts.clock.now().toISOString()))
  }

  /** Starts, keeps or replaces the running action, whichever the row asks for. */
  wake(): void {
    if (this.#closed) return
    const action = nextAction(this.#row)
    const { attempt } = this.#row.record
    const key = `${action} ${attempt}${this.#row.intent.volumes ? ' volumes' : ''}`
    if (this.#running) {
      if (this.#running.key !== key) this.#running.abort.abort(new Error('something else is to be done now'))
      return
    }
    if (this.#retry) clearTimeout(this.#retry)
    this.#retry = null
    if (action !== 'none') this.#start(action, key)
  }

  /**
   * Runs `work` if nothing is to be done, and lets no change happen meanwhile: what it does to the runner cannot meet a
   * launch that begins at the same time.
   */
  whileAtRest(work: (row: ServiceRow) => Promise<void>): Promise<void> {
    const done = this.#changes.then(() => (nextAction(this.#row) === 'none' ? work(this.#row) : undefined))
    this.#changes = done.catch(() => undefined) // the caller gets the error; the queue goes on
    return done
  }

  /** Ends the running action and waits for it. What it was doing to the cocoon is picked up from the table later. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#retry) clearTimeout(this.#retry)
    this.#running?.abort.abort(new Error('Hive is shutting down'))
    await this.#running?.done
    await this.#changes
  }

  #change(step: (row: ServiceRow) => Step): Promise<Step> {
    const change = this.#changes.then(() => this.#apply(step))
    this.#changes = change.catch(() => undefined) // the caller gets the error; the queue goes on
    return change
  }

  async #apply(step: (row: ServiceRow) => Step): Promise<Step> {
    const result = step(this.#row)
    if (result.outcome === 'refused') this.#log.debug({ reason: result.reason }, 'refused')
    if (result.outcome !== 'changed') return result
    const previous = this.#row
    const row = this.#withLast(previous, result.row)
    await this.#parts.table.write(row)
    this.#row = row
    this.#parts.view.publish(row)
    this.#say(previous, row)
    this.wake()
    return result
  }

  /** What is known only in memory goes to the disk with the end of its attempt. */
  #withLast(previous: ServiceRow, row: ServiceRow): ServiceRow {
    const { id, attempt, state } = row.record
    const ends = isEnded(state) && !isEnded(previous.record.state)
    if (!ends) return row
    const lastProbes = this.#parts.view.transcript.of(id)
    return { ...row, lastStats: this.#parts.lastStats(id, attempt), ...(lastProbes.length > 0 && { lastProbes }) }
  }

  #start(action: Exclude<Action, 'none'>, key: string): void {
    const abort = new AbortController()
    const done = act(action, this.#context, abort.signal).then(
      () => this.#ended(null),
      (error: unknown) => this.#ended(abort.signal.aborted ? null : error),
    )
    this.#running = { key, abort, done }
  }

  /** An action that failed in a way it does not know itself is tried again later, never given up silently. */
  #ended(error: unknown): void {
    this.#running = null
    if (this.#closed) return
    if (error === null) {
      this.#backoff.reset()
      this.wake()
      return
    }
    const waitMs = this.#backoff.next()
    this.#log.error({ err: error, retry_ms: Math.round(waitMs) }, 'a step failed and will be tried again')
    this.#confess()
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.wake()
    }, waitMs)
  }

  /** A fault nobody foresaw must not look like patience: the record says so until the next step succeeds. */
  #confess(): void {
    const error = {
      code: 'HIVE_INTERNAL',
      detail: 'a step failed in a way Hive does not know and is tried again: see the log',
    }
    this.observe(this.#row.record.attempt, { type: 'trouble', error }).catch(() => undefined) // it is logged already
  }

  #say(previous: ServiceRow, row: ServiceRow): void {
    const { state, attempt, desired, exit, error } = row.record
    if (state === previous.record.state && attempt === previous.record.attempt) {
      if (desired !== previous.record.desired) this.#log.info({ attempt, state, desired, by: row.intent.by }, 'asked')
      return
    }
    this.#log.info({ attempt, state, ...(exit && { exit }), ...(error && { error }) }, state)
  }
}

function toWire(progress: Parameters<ActionContext['progress']>[0]) {
  return {
    phase: progress.phase,
    message: progress.message,
    current_bytes: progress.currentBytes,
    total_bytes: progress.totalBytes,
    layers_done: progress.layersDone,
    layers_total: progress.layersTotal,
  }
}
