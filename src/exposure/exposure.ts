import type { Logger } from 'pino'
import { PairRelays } from '../relay/pair-relays.ts'
import type { RelayTarget } from '../relay/relay.ts'
import { LaunchRefused, type RunnerDriver, reachesHost } from '../runners/driver.ts'
import { isActive, type ServiceRow, type ServiceUse } from '../services/state/record.ts'
import type { DocumentStore } from '../services/table/table.ts'
import { type Provided, type UsesEnvironment, usesEnvironment } from './environment.ts'
import { PairGuard } from './pair-guard.ts'
import { addressOf, exposedName, type Found, findProvider, isComing } from './providers.ts'

export interface ExposureOptions {
  readonly documents: DocumentStore
  readonly log: Logger
  readonly drivers: ReadonlyMap<string, RunnerDriver>
  /** What a provider's `vars` say, placeholders not filled in. @throws HIVE_SECRETS_LOST */
  readonly openVars: (row: ServiceRow) => Readonly<Record<string, string>>
}

export type Bound =
  | { readonly type: 'bound'; readonly uses: readonly ServiceUse[] }
  | { readonly type: 'waits'; readonly why: string; readonly asleep: readonly string[] }
  | { readonly type: 'refused'; readonly why: string }

/** Where a running consumer has something from another place than it was told at its launch. */
export interface Moved {
  readonly why: string
  readonly uses: readonly ServiceUse[]
}

/**
 * Who provides what to whom. Knows the rows by being told of each; decides nothing durable and changes no state.
 *
 * A script dials its provider itself, at the address the provider really has: that works on while no Hive runs, and a
 * provider that comes back elsewhere is reached by a restart of the script. A container cannot dial this machine's
 * loopback, nor can its environment change: it gets a relay whose address stays the same for as long as the container
 * exists, and which leads to where the provider is at that moment. What goes through a relay ends with Hive.
 */
export class Exposure {
  readonly #options: ExposureOptions
  readonly #exposers = new Map<string, ServiceRow>()
  readonly #consumers = new Map<string, ServiceRow>()
  readonly #listeners = new Set<() => void>()
  readonly #guard: PairGuard
  readonly relays: PairRelays
  #version = 0

  constructor(options: ExposureOptions) {
    this.#options = options
    this.#guard = new PairGuard({
      rowOf: (id) => this.#consumers.get(id),
      driverOf: ({ record }) => options.drivers.get(record.runner),
    })
    this.relays = new PairRelays({
      documents: options.documents,
      log: options.log,
      targetOf: ({ consumer, name }) => this.#targetOf(consumer, name),
      isAt: (consumer, address) => this.#guard.isAt(consumer, address),
    })
  }

  /** To be told of every row that is durable, the newest of each service last. */
  note(row: ServiceRow): void {
    const { id, state, uses } = row.record
    if (uses && state !== 'removed') this.#consumers.set(id, row)
    else if (this.#consumers.delete(id)) this.#guard.forget(id)
    if (exposedName(row) !== null) this.#exposers.set(id, row)
    else if (!this.#exposers.delete(id)) return
    this.#version += 1
    for (const listener of this.#listeners) listener()
  }

  /** Grows with each change of any provider. */
  get version(): number {
    return this.#version
  }

  /** Resolves once the version is another one. @throws the signal's reason. */
  untilAfter(version: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#version !== version) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.#listeners.delete(finish)
        signal.removeEventListener('abort', finish)
        if (signal.aborted) reject(signal.reason)
        else resolve()
      }
      this.#listeners.add(finish)
      signal.addEventListener('abort', finish, { once: true })
    })
  }

  /**
   * Finds a provider for everything a consumer uses, and an address at which it reaches each.
   * @throws LaunchRefused  its runner gives it no way there. @throws RunnerUnreachable
   */
  async bind(row: ServiceRow, driver: RunnerDriver, signal: AbortSignal): Promise<Bound> {
    const all = usesOf(row).map(({ name }) => ({ name, found: this.#find(row, name) }))
    for (const { found } of all) if (found.type === 'refused') return found
    const waits = all.flatMap(({ found }) => (found.type === 'waits' ? [found] : []))
    if (waits.length > 0)
      return { type: 'waits', why: waits.map(({ why }) => why).join('; '), asleep: waits.flatMap((one) => one.asleep) }
    const reach = await this.#way(row, driver, signal)
    const uses: ServiceUse[] = []
    for (const { name, found } of all)
      if (found.type === 'found') uses.push(use(name, found.provider, await reach(name, found.address)))
    return { type: 'bound', uses }
  }

  /** True if all that a consumer was told it uses is still known, so that it can be launched with that. */
  isBound({ record }: ServiceRow): boolean {
    return (record.uses ?? []).every(({ service_id }) => this.#exposers.has(service_id ?? ''))
  }

  /** Null = each provider is where it was, or just away. @param direct  the consumer dials its providers itself. */
  moved(row: ServiceRow, direct: boolean): Moved | null {
    const whys: string[] = []
    const uses = (row.record.uses ?? []).map((old) => {
      const moved = this.#movedUse(row, old, direct)
      if (moved === null) return old
      whys.push(
        moved.service_id === old.service_id
          ? `${old.service} has another address`
          : `"${old.name}" is provided by ${moved.service} now`,
      )
      return moved
    })
    return whys.length === 0 ? null : { why: whys.join('; '), uses }
  }

  /** What of its environment comes from those it uses, as last bound. @throws HIVE_SECRETS_LOST */
  environment(row: ServiceRow): UsesEnvironment {
    const bound = new Map((row.record.uses ?? []).map((one) => [one.name, one]))
    const provided = usesOf(row).flatMap((spec): Provided[] => {
      const { service_id, host, port } = bound.get(spec.name) ?? {}
      const provider = this.#exposers.get(service_id ?? '')
      if (!provider || typeof host !== 'string' || typeof port !== 'number') return []
      const vars = this.#options.openVars(provider)
      return [{ use: spec, address: { host, port }, record: provider.record, vars }]
    })
    return usesEnvironment(provided)
  }

  /** True while a cocoon that may run has something from this service: then it is in use, seen by the proxy or not. */
  isUsed(id: string): boolean {
    for (const { record } of this.#consumers.values())
      if (isActive(record.state) && record.uses?.some(({ service_id }) => service_id === id)) return true
    return false
  }

  exposers(): Iterable<ServiceRow> {
    return this.#exposers.values()
  }

  consumers(): Iterable<ServiceRow> {
    return this.#consumers.values()
  }

  close(): Promise<void> {
    return this.relays.close()
  }

  #find(row: ServiceRow, name: string): Found {
    const current = row.record.uses?.find((one) => one.name === name)?.service_id ?? null
    return findProvider({ name, proof: row.proofs?.uses[name] ?? null, current }, this.#exposers.values())
  }

  #movedUse(row: ServiceRow, old: ServiceUse, direct: boolean): ServiceUse | null {
    const current = this.#exposers.get(old.service_id ?? '')
    // One that is away for a moment comes back: nobody is restarted for that.
    if (current && isComing(current) && addressOf(current) === null) return null
    const found = this.#find(row, old.name)
    if (found.type !== 'found') return null
    const { provider, address } = found
    const same = provider.record.id === old.service_id
    if (!direct) return same ? null : { ...use(old.name, provider, address), host: old.host, port: old.port }
    return same && address.host === old.host && address.port === old.port ? null : use(old.name, provider, address)
  }

  /** Where a relay leads: the provider last bound, while it can be reached. */
  #targetOf(consumer: string, name: string): RelayTarget | null {
    const bound = this.#consumers.get(consumer)?.record.uses?.find((one) => one.name === name)
    const provider = this.#exposers.get(bound?.service_id ?? '')
    return provider ? addressOf(provider) : null
  }

  async #way(
    row: ServiceRow,
    driver: RunnerDriver,
    signal: AbortSignal,
  ): Promise<(name: string, address: RelayTarget) => Promise<RelayTarget>> {
    if (!reachesHost(driver)) return async (_name, address) => address
    const access = await driver.hostAccess(row.handle, signal)
    if (access.type === 'none') throw new LaunchRefused(`it cannot reach what it uses: ${access.reason}`)
    return async (name) => {
      try {
        return await this.relays.reach(access, { consumer: row.record.id, name })
      } catch (cause) {
        const message = `it cannot reach what it uses: its relay cannot be opened: ${(cause as Error).message}`
        throw new LaunchRefused(message, { cause })
      }
    }
  }
}

/** A row of an earlier version does not say. */
function usesOf({ config }: ServiceRow) {
  return config.uses ?? []
}

function use(name: string, { record }: ServiceRow, { host, port }: RelayTarget): ServiceUse {
  return { name, service: record.name, service_id: record.id, host, port }
}
