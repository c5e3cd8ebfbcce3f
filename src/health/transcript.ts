import type { Probe } from './checker.ts'

/** Probes kept per service. */
const LENGTH = 20

/** The last probes of every service's health checks, in memory only. */
export class Transcript {
  readonly #probes = new Map<string, Probe[]>()

  add(id: string, probe: Probe): void {
    const probes = this.#probes.get(id) ?? []
    probes.push(probe)
    if (probes.length > LENGTH) probes.shift()
    this.#probes.set(id, probes)
  }

  /** Oldest first. */
  of(id: string): readonly Probe[] {
    return [...(this.#probes.get(id) ?? [])]
  }

  forget(id: string): void {
    this.#probes.delete(id)
  }
}
