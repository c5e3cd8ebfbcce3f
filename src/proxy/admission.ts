import { HiveError } from '../errors.ts'
import { overloaded } from '../http/connections.ts'
import type { Descriptors } from '../http/descriptors.ts'
import { Crowd, type Seat } from './crowd.ts'
import type { ProxyLimits } from './limits.ts'

/** How soon trying again makes sense: places come free all the time. */
const RETRY_AFTER_S = 1

/** Lets requests and upgrades through to a cocoon while it has places and Hive has descriptors. */
export class Admission {
  readonly #requests: Crowd
  readonly #tunnels: Crowd
  readonly #descriptors: Descriptors

  constructor(limits: ProxyLimits, descriptors: Descriptors) {
    this.#requests = new Crowd(limits.maxRequests)
    this.#tunnels = new Crowd(limits.maxTunnels)
    this.#descriptors = descriptors
  }

  /** A place for one request, to be left when it is over; or HIVE_OVERLOADED, HIVE_COCOON_BUSY. */
  request(name: string): Seat | HiveError {
    if (!this.#descriptors.admitsWork()) return overloaded()
    return this.#requests.enter(name) ?? busy()
  }

  /** As `request`, for an upgrade and the tunnel that it may become. */
  tunnel(name: string): Seat | HiveError {
    if (!this.#descriptors.admitsDial()) return overloaded()
    return this.#tunnels.enter(name) ?? busy()
  }
}

function busy(): HiveError {
  return new HiveError('HIVE_COCOON_BUSY', 'As many as one cocoon may have are under way: try again.', {
    retryAfterS: RETRY_AFTER_S,
  })
}
