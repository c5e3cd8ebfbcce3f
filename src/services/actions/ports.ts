import { HiveError } from '../../errors.ts'
import type { NumberRange } from '../../settings.ts'
import { isEnded, type PortLease, type ServiceRow } from '../state/record.ts'

const HOST = '127.0.0.1'

/** After its release a port rests this long, so that no late request for the old cocoon meets a new one. */
export const QUARANTINE_MS = 60_000

export interface PortWish {
  readonly port: number | null
  /** null = any free one of the range. */
  readonly hostPort: number | null
  readonly name: string | null
}

/**
 * Host ports in use, by service id. Choosing is synchronous, so two services never hold one number; the lease becomes
 * durable with the row, before the port is used.
 */
export class PortPool {
  readonly #range: NumberRange
  readonly #now: () => number
  #held = new Map<number, string>()
  readonly #restingUntil = new Map<number, number>()
  #next: number

  /** @param start  The number to begin with: two Hives that share a range should not begin with the same. */
  constructor(range: NumberRange, now: () => number, start: number = range.first) {
    this.#range = range
    this.#now = now
    this.#next = start
  }

  /** Takes over what a loaded row holds, or will hold by its fixed numbers, or has just released. */
  adopt(row: ServiceRow, wishes: readonly PortWish[]): void {
    for (const lease of row.leases) {
      if (lease.releasedAt === null) this.#held.set(lease.hostPort, row.record.id)
      // A clock that was set back must not make a port rest for years.
      else this.#rest(lease.hostPort, Math.min(Date.parse(lease.releasedAt), this.#now()))
    }
    if (row.record.state === 'removed') return
    for (const hostPort of fixedOf(wishes)) if (!this.#held.has(hostPort)) this.#held.set(hostPort, row.record.id)
  }

  /**
   * Takes the fixed numbers of a new service at once: whoever asks next hears of it, and not only its launch.
   * @throws HIVE_PORT_TAKEN  nothing was taken.
   */
  reserve(id: string, wishes: readonly PortWish[]): void {
    for (const hostPort of fixedOf(wishes)) this.#assertFree(hostPort, id)
    for (const hostPort of fixedOf(wishes)) this.#held.set(hostPort, id)
  }

  /**
   * One lease per wish, or none at all.
   * @throws HIVE_PORT_TAKEN  a fixed number is held by another service. @throws HIVE_CAPACITY  the range is used up.
   */
  lease(id: string, wishes: readonly PortWish[]): readonly PortLease[] {
    const before = new Map(this.#held)
    try {
      return wishes.map((wish) => this.#one(id, wish))
    } catch (error) {
      this.#held = before
      throw error
    }
  }

  /** Takes just these numbers, at rest or not, because a cocoon of this service is on them already. False = another's. */
  take(id: string, leases: readonly PortLease[]): boolean {
    if (leases.some(({ hostPort }) => (this.#held.get(hostPort) ?? id) !== id)) return false
    for (const { hostPort } of leases) this.#held.set(hostPort, id)
    return true
  }

  release(id: string): void {
    for (const [hostPort, owner] of this.#held) if (owner === id) this.#free(hostPort)
  }

  /** Gives chosen numbers back because somebody outside Hive has them, and keeps them out of use for a while. */
  discard(leases: readonly PortLease[]): void {
    for (const lease of leases) if (!lease.fixed) this.#free(lease.hostPort)
  }

  #one(id: string, wish: PortWish): PortLease {
    const hostPort = wish.hostPort ?? this.#choose()
    this.#assertFree(hostPort, id)
    this.#held.set(hostPort, id)
    const { name } = wish
    return {
      port: wish.port ?? hostPort,
      host: HOST,
      hostPort,
      protocol: 'tcp',
      name,
      fixed: wish.hostPort !== null,
      releasedAt: null,
    }
  }

  /** Walks the range in a circle, so that a number comes round again as late as possible. */
  #choose(): number {
    const { first, last } = this.#range
    for (let tried = first; tried <= last; tried++) {
      const candidate = this.#next
      this.#next = candidate === last ? first : candidate + 1
      if (!this.#held.has(candidate) && !this.#rests(candidate)) return candidate
    }
    throw new HiveError('HIVE_CAPACITY', `all ports of HIVE_PORT_RANGE ${first}-${last} are in use`, {
      retryAfterS: 60,
    })
  }

  #assertFree(hostPort: number, id: string): void {
    const owner = this.#held.get(hostPort)
    if (owner !== undefined && owner !== id)
      throw new HiveError('HIVE_PORT_TAKEN', `host port ${hostPort} belongs to another cocoon: remove that one first`)
  }

  #free(hostPort: number): void {
    this.#held.delete(hostPort)
    this.#rest(hostPort, this.#now())
  }

  #rest(hostPort: number, since: number): void {
    this.#restingUntil.set(hostPort, since + QUARANTINE_MS)
  }

  #rests(hostPort: number): boolean {
    const until = this.#restingUntil.get(hostPort)
    if (until === undefined || until > this.#now()) return until !== undefined
    this.#restingUntil.delete(hostPort)
    return false
  }
}

function fixedOf(wishes: readonly PortWish[]): readonly number[] {
  return wishes.flatMap(({ hostPort }) => hostPort ?? [])
}

/** True while a row may still need its ports: until it is removed, because an ended container can be started again. */
export function holdsPorts(row: ServiceRow): boolean {
  return row.record.state !== 'removed' && (row.mayExist || !isEnded(row.record.state))
}
