import type { Probe } from '../health/checker.ts'
import { Transcript } from '../health/transcript.ts'
import type { RouteAnswer, RouteTable } from '../proxy/target.ts'
import { Activity } from './activity.ts'
import { byAge, type Page, pageOf, type ServiceFilter } from './page.ts'
import { RouteAnswers } from './route-answers.ts'
import type { ServiceProgress, ServiceRecord, ServiceRow } from './state/record.ts'

/** Where cocoons are reached from outside; known once the listener is. */
export interface Origins {
  /** Such as `http://127.0.0.1:8020`. */
  readonly base: string
  /** `http://<name>.<domain>:<port>`, or null without host mode. */
  readonly ofCocoon: (name: string) => string | null
}

type Listener = (row: ServiceRow, previous: ServiceRow | null) => void

/**
 * What is durable, in memory: every read is answered from here. Only the supervisor publishes, and only rows that are
 * on the disk. Also the proxy's route table: one answer per name, made when a row is published, looked up without work.
 */
export class ServiceView implements RouteTable {
  #origins: Origins = { base: '', ofCocoon: () => null }
  readonly #rows = new Map<string, ServiceRow>()
  readonly #idByName = new Map<string, string>()
  readonly #idByRequest = new Map<string, string>()
  readonly activity = new Activity()
  readonly transcript = new Transcript()
  readonly #routes = new RouteAnswers(this.activity)
  readonly #progress = new Map<string, ServiceProgress>()
  /** When a runner last vouched for a service: kept in memory only, it would be a write every 30 s. */
  readonly #observedAt = new Map<string, string>()
  readonly #listeners = new Set<Listener>()
  readonly #progressListeners = new Set<(row: ServiceRow, progress: ServiceProgress) => void>()
  #sorted: readonly ServiceRow[] | null = null

  setOrigins(origins: Origins): void {
    this.#origins = origins
  }

  publish(row: ServiceRow): void {
    const { id, name, request_id, state } = row.record
    const previous = this.#rows.get(id) ?? null
    this.#rows.set(id, row)
    this.#sorted = null
    if (this.#mayHaveName(row)) this.#idByName.set(name, id)
    this.#idByRequest.set(request_id, id)
    if (state !== 'preparing') this.#progress.delete(id)
    if (row.record.desired !== 'running') this.#routes.setResting(id, false)
    this.#refresh(row)
    if (previous?.record.state === 'running' && state !== 'running') this.#routes.close(previous)
    for (const listener of this.#listeners) listener(row, previous)
  }

  forget(row: ServiceRow): void {
    const { id, name, request_id } = row.record
    this.#rows.delete(id)
    this.#routes.forget(id)
    this.#observedAt.delete(id)
    this.transcript.forget(id)
    this.activity.forget(id)
    this.#idByRequest.delete(request_id)
    this.#sorted = null
    if (this.#idByName.get(name) !== id) return
    this.#idByName.delete(name)
    this.#routes.forgetName(name)
  }

  /** A late word of a preparation that was broken off is not heard any more. */
  setProgress(id: string, progress: ServiceProgress): void {
    const row = this.#rows.get(id)
    if (row?.record.state !== 'preparing') return
    this.#progress.set(id, progress)
    for (const listener of this.#progressListeners) listener(row, progress)
  }

  setObserved(id: string, at: string): void {
    this.#observedAt.set(id, at)
  }

  /** The cocoon's own listener was seen: its route may open. */
  setListening(id: string, attempt: number): void {
    this.#routes.setListening(id, attempt)
    const row = this.#rows.get(id)
    if (row) this.#refresh(row)
  }

  isListening(id: string, attempt: number): boolean {
    return this.#routes.isListening(id, attempt)
  }

  /** Closes the route of a cocoon that is about to be stopped as idle. */
  rest(id: string, resting = true): void {
    this.#routes.setResting(id, resting)
    const row = this.#rows.get(id)
    if (row) this.#refresh(row)
  }

  setWaker(wake: (id: string) => Promise<void>): void {
    this.#routes.setWaker(wake)
  }

  lookup(name: string): RouteAnswer {
    return this.#routes.lookup(name)
  }

  onClosed(listener: Parameters<RouteTable['onClosed']>[0]): () => void {
    return this.#routes.onClosed(listener)
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onProgress(listener: (row: ServiceRow, progress: ServiceProgress) => void): void {
    this.#progressListeners.add(listener)
  }

  rows(): Iterable<ServiceRow> {
    return this.#rows.values()
  }

  byId(id: string): ServiceRow | null {
    return this.#rows.get(id) ?? null
  }

  /** The service that has the name, else the one removed last that had it. */
  byName(name: string): ServiceRow | null {
    return this.byId(this.#idByName.get(name) ?? '')
  }

  byRequest(requestId: string): ServiceRow | null {
    return this.byId(this.#idByRequest.get(requestId) ?? '')
  }

  /** The wire shape: the stored record with what is only known now. */
  present(row: ServiceRow): ServiceRecord {
    const { id, name } = row.record
    const proxyable = row.record.state !== 'removed' && row.leases.length > 0
    return {
      ...row.record,
      url: proxyable ? `${this.#origins.base}/cocoons/${name}/` : null,
      origin_url: proxyable ? withSlash(this.#origins.ofCocoon(name)) : null,
      observed_at: this.#observedAt.get(id) ?? row.record.observed_at,
      progress: this.#progress.get(id) ?? null,
      idle_at: this.#idleAt(row),
    }
  }

  /** By created_at, then id. @throws HIVE_REQUEST_INVALID  the cursor is none of ours. */
  list(filter: ServiceFilter, limit: number, cursor: string | null): Page {
    this.#sorted ??= [...this.#rows.values()].sort(byAge)
    return pageOf(this.#sorted, { filter, limit, cursor }, (row) => this.present(row))
  }

  /** Resolves with the first published row of this id that satisfies, or null when the signal aborts first. */
  until(id: string, satisfied: (row: ServiceRow) => boolean, signal: AbortSignal): Promise<ServiceRow | null> {
    const now = this.byId(id)
    if (now && satisfied(now)) return Promise.resolve(now)
    if (signal.aborted) return Promise.resolve(null)
    return new Promise((resolve) => {
      const finish = (row: ServiceRow | null) => {
        off()
        signal.removeEventListener('abort', giveUp)
        resolve(row)
      }
      const giveUp = () => finish(null)
      const off = this.onChange((row) => {
        if (row.record.id === id && satisfied(row)) finish(row)
      })
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Whatever order rows are published in (a clock may have been set back), a living one has its name before a dead. */
  #mayHaveName(row: ServiceRow): boolean {
    const owner = this.byName(row.record.name)
    if (owner === null || row.removedAt === null || owner.record.id === row.record.id) return true
    return owner.removedAt !== null && owner.removedAt <= row.removedAt
  }

  #refresh(row: ServiceRow): void {
    const { id, name } = row.record
    if (this.#idByName.get(name) === id) this.#routes.refresh(row)
  }

  /** The last probes of its checks, oldest first; after a restart of Hive those of the last attempt that ended. */
  probesOf({ record, lastProbes = [] }: ServiceRow): readonly Probe[] {
    const probes = this.transcript.of(record.id)
    return probes.length > 0 ? probes : lastProbes
  }

  /** What kept it alive last, and when it will be stopped as idle. */
  describeActivity(row: ServiceRow) {
    const { id } = row.record
    const last = this.activity.last(id)
    const time = last && new Date(Date.now() - (performance.now() - last.at)).toISOString()
    return {
      idle_timeout_ms: row.config.idleTimeoutMs,
      wake: row.config.wake,
      last: last && time ? { cause: last.cause, time } : null,
      open_requests: this.activity.isBusy(id),
      log_followers: this.activity.followers(id),
      lease_until: row.leaseUntil,
      idle_at: this.#idleAt(row),
    }
  }

  #idleAt(row: ServiceRow): string | null {
    const now = Date.now()
    const leftMs = this.activity.leftMs(row, now)
    return leftMs === null ? null : new Date(now + Math.max(0, leftMs)).toISOString()
  }
}

function withSlash(origin: string | null): string | null {
  return origin === null ? null : `${origin}/`
}
