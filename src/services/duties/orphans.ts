import type { RunnerType } from '../../kinds/kind.ts'
import type { OwnedObject, RunnerDriver } from '../../runners/driver.ts'
import type { ServiceView } from '../view.ts'

/** Something in a runner that carries this Hive's instance id and that no service claims. */
export interface Orphan {
  readonly runner: RunnerType
  /** The id of the service it was made for. */
  readonly id: string
  readonly name: string
  readonly attempt: number
  readonly running: boolean
  readonly created_at: string | null
}

export interface RunnerTrouble {
  readonly runner: RunnerType
  readonly reason: string
}

export interface OrphanReport {
  readonly orphans: readonly Orphan[]
  /** Runners that did not answer: nothing is known of what they hold. */
  readonly unasked: readonly RunnerTrouble[]
}

export interface ReapReport {
  readonly reaped: readonly Orphan[]
  /** Still there, and why. */
  readonly kept: readonly (Orphan & { readonly reason: string })[]
  readonly unasked: readonly RunnerTrouble[]
}

export interface OrphanParts {
  readonly view: ServiceView
  readonly drivers: Iterable<RunnerDriver>
}

interface Found {
  readonly driver: RunnerDriver
  readonly object: OwnedObject
}

/** Asks every runner; changes nothing. */
export async function findOrphans(parts: OrphanParts, signal: AbortSignal): Promise<OrphanReport> {
  const { found, unasked } = await find(parts, signal)
  return { orphans: found.map(toOrphan), unasked }
}

/**
 * Removes orphans: stops what runs and takes it away. One that a service has claimed meanwhile is left alone.
 *
 * @param options.ids      only those made for these service ids; null = all.
 * @param options.volumes  their named volumes, too.
 */
export async function reapOrphans(
  parts: OrphanParts,
  options: { readonly ids: readonly string[] | null; readonly volumes: boolean },
  signal: AbortSignal,
): Promise<ReapReport> {
  const { found, unasked } = await find(parts, signal)
  const reaped: Orphan[] = []
  const kept: (Orphan & { reason: string })[] = []
  for (const { driver, object } of found) {
    if (options.ids?.includes(object.id) === false || parts.view.byId(object.id) !== null) continue
    const orphan = toOrphan({ driver, object })
    try {
      await driver.remove(object.handle, { volumes: options.volumes }, signal)
      reaped.push(orphan)
    } catch (error) {
      kept.push({ ...orphan, reason: reasonOf(error) })
    }
  }
  return { reaped, kept, unasked }
}

async function find({ view, drivers }: OrphanParts, signal: AbortSignal) {
  const found: Found[] = []
  const unasked: RunnerTrouble[] = []
  const ask = async (driver: RunnerDriver) => {
    try {
      for (const object of await driver.list(signal)) {
        // A row is durable before anything is made for it, so a launch under way is never taken for an orphan.
        if (view.byId(object.id) === null) found.push({ driver, object })
      }
    } catch (error) {
      unasked.push({ runner: driver.type, reason: reasonOf(error) })
    }
  }
  await Promise.all([...drivers].map(ask))
  return { found, unasked }
}

function toOrphan({ driver, object }: Found): Orphan {
  const { id, name, attempt, running, createdAt } = object
  return { runner: driver.type, id, name, attempt, running, created_at: createdAt }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
