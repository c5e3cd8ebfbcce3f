import { type Dispatcher, Pool } from 'undici'
import type { Endpoint } from '../runners/driver.ts'
import type { ProxyLimits } from './limits.ts'
import type { Route } from './target.ts'

/** Connections to cocoons: one pool per id, attempt and address, so that no connection outlives its attempt. */
export class Pools {
  readonly #pools = new Map<string, Map<string, Pool>>()
  readonly #limits: ProxyLimits

  constructor(limits: ProxyLimits) {
    this.#limits = limits
  }

  get(route: Route, endpoint: Endpoint): Dispatcher {
    const key = attemptKey(route)
    let pools = this.#pools.get(key)
    if (pools === undefined) {
      pools = new Map()
      this.#pools.set(key, pools)
    }
    const origin = originOf(endpoint)
    let pool = pools.get(origin)
    if (pool === undefined) {
      pool = this.#open(origin)
      pools.set(origin, pool)
    }
    return pool
  }

  /** Cuts every connection of one attempt, exchanges under way included. */
  close(closed: { readonly id: string; readonly attempt: number }): void {
    const key = attemptKey(closed)
    const pools = this.#pools.get(key)
    this.#pools.delete(key)
    for (const pool of pools?.values() ?? []) destroy(pool)
  }

  closeAll(): void {
    for (const pools of this.#pools.values()) for (const pool of pools.values()) destroy(pool)
    this.#pools.clear()
  }

  #open(origin: string): Pool {
    const limits = this.#limits
    return new Pool(origin, {
      // Without pipelining an exchange never shares a connection, so one that breaks takes nobody with it.
      pipelining: 1,
      allowH2: false,
      connect: { timeout: limits.connectMs },
      keepAliveTimeout: limits.poolIdleMs,
      maxHeaderSize: limits.maxHeaderBytes,
      // Exchanges watch the clock themselves: undici's headers timer also cuts uploads that are still under way.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }
}

/** Brackets for IPv6; the scheme is always http, TLS ends before Hive. */
export function originOf(endpoint: Endpoint): string {
  return `http://${authorityOf(endpoint)}`
}

export function authorityOf(endpoint: Endpoint): string {
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host
  return `${host}:${endpoint.port}`
}

export function attemptKey(attempt: { readonly id: string; readonly attempt: number }): string {
  return `${attempt.id}/${attempt.attempt}`
}

function destroy(pool: Pool): void {
  pool.destroy(new Error('the attempt has ended')).catch(() => {
    // Destroying rejects only if it was destroyed before, which is what is wanted.
  })
}
