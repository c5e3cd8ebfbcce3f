import { isIPv6 } from 'node:net'
import { HiveError } from '../errors.ts'

/** Wrong tokens that one address may send within a window before its further ones are answered without a look. */
const BUDGET = 100
const WINDOW_MS = 60_000
/** Addresses remembered at a time; beyond it the oldest is forgotten, so that memory has an end. */
const MOST_ADDRESSES = 10_000

interface Tally {
  count: number
  readonly endsAt: number
}

export interface WrongTokenOptions {
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
  readonly budget?: number
  readonly mostAddresses?: number
}

/**
 * Slows down who tries tokens, by the address of the peer. Only wrong tokens are counted, after they were found to be
 * wrong: the right one never waits, whatever its address has sent before (a front puts everybody on one address).
 */
export class WrongTokens {
  readonly #tallies = new Map<string, Tally>()
  readonly #now: () => number
  readonly #budget: number
  readonly #mostAddresses: number

  constructor(options: WrongTokenOptions = {}) {
    this.#now = options.now ?? (() => performance.now())
    this.#budget = options.budget ?? BUDGET
    this.#mostAddresses = options.mostAddresses ?? MOST_ADDRESSES
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#tallies.size
  }

  /**
   * Counts one wrong token.
   *
   * @returns  HIVE_TOO_MANY_WRONG_TOKENS once the budget of the address is used up, else null.
   */
  refuse(peer: string | undefined): HiveError | null {
    const tally = this.#tallyOf(networkOf(peer ?? ''))
    tally.count += 1
    if (tally.count <= this.#budget) return null
    const retryAfterS = Math.max(1, Math.ceil((tally.endsAt - this.#now()) / 1000))
    return new HiveError('HIVE_TOO_MANY_WRONG_TOKENS', 'Send the right token, which is taken at any time, or wait.', {
      retryAfterS,
    })
  }

  #tallyOf(network: string): Tally {
    const now = this.#now()
    const known = this.#tallies.get(network)
    if (known !== undefined && known.endsAt > now) return known
    const tally = { count: 0, endsAt: now + WINDOW_MS }
    // Deleted first, so that the map stays in the order of the windows' ends.
    this.#tallies.delete(network)
    this.#tallies.set(network, tally)
    this.#forget(now)
    return tally
  }

  #forget(now: number): void {
    for (const [network, { endsAt }] of this.#tallies) {
      if (endsAt > now && this.#tallies.size <= this.#mostAddresses) return
      this.#tallies.delete(network)
    }
  }
}

/** One IPv6 subscriber holds a whole /64, so that counts as one address. */
function networkOf(peer: string): string {
  if (!isIPv6(peer) || peer.includes('.')) return peer
  const [head = '', tail = ''] = peer.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}
