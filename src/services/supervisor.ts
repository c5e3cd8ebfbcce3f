import { HiveError } from '../errors.ts'
import type { KindSpec } from '../kinds/kind.ts'
import { portWishes } from './actions/launch-spec.ts'
import { holdsPorts } from './actions/ports.ts'
import { ServiceActor } from './actor.ts'
import type { SupervisorParts } from './context.ts'
import { Expiry } from './duties/expiry.ts'
import { newServiceName, plainName } from './names.ts'
import { checkSpawn, type KindRules, newRow, requestHmac, type SpawnRequest } from './spawn.ts'
import type { Fact } from './state/fact.ts'
import { isActive, isEnded, type ServiceRow } from './state/record.ts'
import { type IntentRequest, intend } from './state/step.ts'
import { isAttemptDue } from './state/transition.ts'
import { openSecrets, sayLostSecrets } from './table/secrets.ts'

export interface SupervisorOptions extends SupervisorParts {
  readonly kinds: ReadonlyMap<string, KindSpec>
  readonly rules: KindRules
  /** Why the kind's runner is known to launch nothing now; null = as far as is known it can. */
  readonly whyDown: (kind: KindSpec) => string | null
  readonly newId: () => string
  readonly maxCocoons: number
}

export interface Spawned {
  readonly row: ServiceRow
  /** False when the request id was seen before and this is what became of it. */
  readonly created: boolean
}

/** The only writer of services: every spawn and every intent comes in here, every fact through its actors. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #actors = new Map<string, ServiceActor>()
  /** Names and request ids whose first row is being written. */
  readonly #bornNames = new Set<string>()
  readonly #bornRequests = new Map<string, { readonly hmac: string; readonly row: Promise<ServiceRow> }>()
  readonly #expiry: Expiry
  #closing = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    const { clock, log } = options
    const remove = (id: string) => this.intend(id, { desired: 'removed', by: 'ttl', reason: 'ttl' })
    this.#expiry = new Expiry({ clock, log, remove })
    options.view.setWaker((id) => this.wake(id))
    // First of all listeners: whoever learns that a service is gone finds its ports free.
    options.view.onChange(({ record }) => {
      if (record.state === 'removed') options.ports.release(record.id)
    })
  }

  /** Takes over what the table holds, and goes on with each service where it was left. */
  async load(): Promise<void> {
    const rows = await this.#options.table.load()
    const inOrder = [...rows].sort((left, right) => (left.record.created_at < right.record.created_at ? -1 : 1))
    for (const row of inOrder) {
      this.#options.view.publish(row)
      if (holdsPorts(row) || row.record.state === 'removed') this.#options.ports.adopt(row, portWishes(row.config, []))
    }
    sayLostSecrets(this.#options.vault, inOrder, this.#options.log)
    for (const row of inOrder) if (row.record.state !== 'removed') this.#adopt(row).wake()
  }

  /**
   * Makes the durable record of a new cocoon; its launch goes on by itself. The same request id again gives the same
   * service, whatever has become of it.
   *
   * @throws HIVE_KIND_UNKNOWN, HIVE_REQUEST_INVALID, HIVE_REQUEST_ID_REUSED, HIVE_NAME_TAKEN, HIVE_PORT_TAKEN,
   *         HIVE_CAPACITY, HIVE_RUNNER_UNAVAILABLE, HIVE_STORE_FAILED, HIVE_SHUTTING_DOWN: nothing was made or stored.
   */
  async spawn(given: SpawnRequest): Promise<Spawned> {
    const request = { ...given, name: given.name === undefined ? undefined : plainName(given.name) }
    if (this.#closing) throw new HiveError('HIVE_SHUTTING_DOWN', 'try again when Hive is back', { retryAfterS: 5 })
    const hmac = requestHmac(this.#options.vault, request)
    const earlier = this.#earlier(request.requestId, hmac)
    if (earlier) return { row: await earlier, created: false }
    // From here to the insert nothing is awaited: two equal requests cannot both get this far.
    const kind = this.#kind(request.kind)
    checkSpawn(request, kind, this.#options.rules)
    this.#checkRoom()
    const id = this.#options.newId()
    const row = newRow(this.#options.vault, kind, request, {
      id,
      name: this.#freeName(request.name),
      requestId: request.requestId ?? id,
      now: this.#options.clock.now().toISOString(),
    })
    this.#options.ports.reserve(id, portWishes(kind.config, []))
    return { row: await this.#insert(row), created: true }
  }

  /**
   * The one entry of intent; durable when it resolves.
   * @throws HIVE_SERVICE_UNKNOWN, HIVE_COCOON_GONE, HIVE_STATE_CONFLICT, HIVE_REVISION_STALE, HIVE_CAPACITY,
   *         HIVE_STORE_FAILED
   */
  async intend(id: string, request: IntentRequest): Promise<ServiceRow> {
    const actor = this.#actors.get(id)
    if (!actor) return this.#intendRemoved(id, request)
    const { state } = actor.row.record
    if (request.desired === 'running' && isEnded(state) && !isAttemptDue(actor.row)) this.#checkRoom()
    this.#checkSecrets(actor.row, request)
    const step = await actor.intend(request)
    if (actor.row.record.state === 'removed') return this.#intendRemoved(id, request)
    if (step.outcome === 'refused')
      throw new HiveError(step.stale ? 'HIVE_REVISION_STALE' : 'HIVE_STATE_CONFLICT', step.reason)
    return actor.row
  }

  /**
   * Runs `work` on a service for which nothing is to be done, and lets nothing be begun for it meanwhile. Does nothing
   * if something is.
   */
  async whileAtRest(id: string, work: (row: ServiceRow) => Promise<void>): Promise<void> {
    const actor = this.#actors.get(id)
    const row = this.#options.view.byId(id)
    if (actor) await actor.whileAtRest(work)
    else if (row?.record.state === 'removed') await work(row)
  }

  /** The entry of what others than its own action see of a service; durable when it resolves. */
  async observe(id: string, attempt: number, fact: Fact): Promise<void> {
    await this.#actors.get(id)?.observe(attempt, fact)
  }

  /**
   * Keeps a service from being stopped as idle for some seconds from now; durable when it resolves.
   * @throws HIVE_SERVICE_UNKNOWN, HIVE_STATE_CONFLICT, HIVE_STORE_FAILED
   */
  async touch(id: string, seconds: number): Promise<ServiceRow> {
    const actor = this.#actors.get(id)
    if (!actor) throw new HiveError('HIVE_SERVICE_UNKNOWN', 'it may have been removed more than 24 hours ago')
    const { clock, view } = this.#options
    const until = new Date(clock.now().getTime() + seconds * 1000).toISOString()
    const step = await actor.observe(actor.row.record.attempt, { type: 'leased', until })
    if (step.outcome === 'refused') throw new HiveError('HIVE_STATE_CONFLICT', step.reason)
    view.activity.note(id, 'touch')
    return actor.row
  }

  /** Starts an idle-stopped service again, because a request came for it. Somebody else's wish comes before it. */
  async wake(id: string): Promise<void> {
    await this.#actors.get(id)?.intend({ desired: 'running', by: 'wake', reason: 'a request came' })
  }

  /** Drops the tombstone for good. */
  async forget(row: ServiceRow): Promise<void> {
    await this.#options.table.purge(row.record.id)
    await this.#actors.get(row.record.id)?.close()
    this.#actors.delete(row.record.id)
    this.#options.view.forget(row)
  }

  /** Ends all work in this process; cocoons live on and the next Hive adopts them. */
  async close(): Promise<void> {
    this.#closing = true
    this.#expiry.close()
    await Promise.allSettled([...this.#bornRequests.values()].map(({ row }) => row))
    await Promise.all([...this.#actors.values()].map((actor) => actor.close()))
  }

  /** What became of a request id; a promise while its row is just being written. */
  #earlier(requestId: string | undefined, hmac: string): Promise<ServiceRow> | ServiceRow | null {
    if (requestId === undefined) return null
    const born = this.#bornRequests.get(requestId)
    const known = this.#options.view.byRequest(requestId)
    const knownHmac = born?.hmac ?? known?.requestHmac
    if (knownHmac !== undefined && knownHmac !== hmac && known?.sealed) openSecrets(this.#options.vault, known) // under another key the same body has another HMAC
    if (knownHmac !== undefined && knownHmac !== hmac)
      throw new HiveError('HIVE_REQUEST_ID_REUSED', 'it was sent before with another body: use a new request_id')
    return born ? born.row : known
  }

  #kind(id: string): KindSpec {
    const kind = this.#options.kinds.get(id)
    if (!kind) throw new HiveError('HIVE_KIND_UNKNOWN', 'GET /kinds lists the kinds there are')
    const reason = this.#options.whyDown(kind)
    if (reason !== null) throw new HiveError('HIVE_RUNNER_UNAVAILABLE', reason, { retryAfterS: 10 })
    return kind
  }

  /** Removal may be asked for as often as one likes; nothing else is possible any more. */
  #intendRemoved(id: string, request: IntentRequest): ServiceRow {
    const row = this.#options.view.byId(id)
    if (!row) throw new HiveError('HIVE_SERVICE_UNKNOWN', 'it may have been removed more than 24 hours ago')
    if (request.desired === 'removed') return row
    throw new HiveError('HIVE_COCOON_GONE', 'spawn a new one', { extra: { service: this.#options.view.present(row) } })
  }

  /** Before anything is stopped for a launch that could not follow. */
  #checkSecrets(row: ServiceRow, request: IntentRequest): void {
    const step = intend(row, request)
    if (step.outcome === 'changed' && step.row.targetAttempt > row.targetAttempt) openSecrets(this.#options.vault, row)
  }

  #checkRoom(): void {
    const { view, maxCocoons } = this.#options
    let active = this.#bornNames.size
    for (const row of view.rows()) if (isActive(row.record.state) || isAttemptDue(row)) active++
    if (active >= maxCocoons)
      throw new HiveError('HIVE_CAPACITY', `HIVE_MAX_COCOONS (${maxCocoons}) is reached: remove one first`, {
        retryAfterS: 10,
      })
  }

  #freeName(wanted: string | undefined): string {
    if (wanted !== undefined) {
      const owner = this.#options.view.byName(wanted)
      const taken = owner && owner.record.state !== 'removed'
      if (taken || this.#bornNames.has(wanted))
        throw new HiveError('HIVE_NAME_TAKEN', `${wanted} is in use until its cocoon is removed`, {
          extra: taken ? { service: this.#options.view.present(owner) } : {},
        })
      return wanted
    }
    for (;;) {
      const name = newServiceName()
      if (this.#options.view.byName(name) === null && !this.#bornNames.has(name)) return name
    }
  }

  async #insert(row: ServiceRow): Promise<ServiceRow> {
    const { name, request_id } = row.record
    const written = this.#options.table.write(row)
    this.#bornNames.add(name)
    this.#bornRequests.set(request_id, { hmac: row.requestHmac, row: written.then(() => row) })
    this.#bornRequests.get(request_id)?.row.catch(() => undefined) // told to the caller below
    try {
      await written.catch((error: unknown) => {
        this.#options.ports.release(row.record.id)
        throw error
      })
      this.#options.view.publish(row)
      const { id, kind } = row.record
      this.#options.log.info({ service: name, id, kind, request_id, attempt: 1 }, 'requested')
      this.#adopt(row).wake()
      return row
    } finally {
      this.#bornNames.delete(name)
      this.#bornRequests.delete(request_id)
    }
  }

  #adopt(row: ServiceRow): ServiceActor {
    const driver = this.#options.drivers.get(row.record.runner)
    if (!driver) throw new Error(`there is no driver for runner ${row.record.runner}`)
    const actor = new ServiceActor(this.#options, driver, row)
    this.#actors.set(row.record.id, actor)
    this.#expiry.add(row)
    return actor
  }
}
