import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { KindSpec, RunnerConfig, RunnerType } from '../kinds/kind.ts'
import type { OwnedObject, RunnerDriver } from '../runners/driver.ts'
import type { ServiceRow } from '../services/state/record.ts'
import { remakeRow } from '../services/table/remake.ts'
import { replaceTable, salvage } from '../services/table/salvage.ts'
import { describe, takeLock } from '../services/table/table-file.ts'
import { RebuildRefused } from './refused.ts'
import { tryTable } from './state.ts'

export interface RebuildParts {
  readonly directory: string
  readonly drivers: readonly RunnerDriver[]
  readonly kinds: readonly KindSpec[]
  readonly fallback: (runner: RunnerType) => RunnerConfig
  readonly now: Date
  /** Also if the table is whole, or a runner in use does not answer. */
  readonly force: boolean
}

export interface Rebuilt {
  /** Services whose old row could still be read. */
  readonly salvaged: readonly string[]
  /** Services made anew from what runs; they cannot be launched again. */
  readonly remade: readonly string[]
  /** Files of the old table, in the state directory. */
  readonly aside: readonly string[]
  readonly unasked: readonly { readonly runner: RunnerType; readonly reason: string }[]
}

const ASK_MS = 30_000

/**
 * Re-makes the service table from what of it can be read, and from the labels and markers of what its runners hold.
 * Touches no cocoon. @throws RebuildRefused
 */
export async function rebuild(parts: RebuildParts): Promise<Rebuilt> {
  assertNeeded(parts)
  const lock = lockDirectory(parts.directory)
  try {
    const { objects, unasked } = await ask(parts.drivers)
    const missed = unasked.find(({ runner }) => parts.kinds.some(({ runner_type }) => runner_type === runner))
    if (missed && !parts.force)
      throw new RebuildRefused(`${missed.runner} does not answer, so its cocoons would be forgotten: ${missed.reason}`)
    const kept = salvage(parts.directory)
    const salvaged = unique(kept.rows)
    const known = new Set(salvaged.map(({ record }) => record.id))
    const lost = objects.filter(({ object }) => !known.has(object.id))
    const remade = await Promise.all(lost.map((found) => remake(parts, found)))
    const rows = withOwnNames([...salvaged, ...remade])
    const aside = await replaceTable(parts.directory, { ...kept, rows }, stampOf(parts.now))
    markMade(lock, parts.now)
    return { salvaged: namesOf(salvaged), remade: namesOf(rows.slice(salvaged.length)), aside, unasked }
  } finally {
    lock.close()
  }
}

function assertNeeded({ directory, force }: RebuildParts): void {
  const refused = tryTable(directory)
  if (refused?.reason === 'locked') throw new RebuildRefused('a Hive runs on this state directory: stop it first')
  if (refused?.reason === 'newer') throw new RebuildRefused(`${refused.message}: that Hive can read it`)
  if (refused === null && !force) throw new RebuildRefused('the service table is whole: there is nothing to rebuild')
}

function lockDirectory(directory: string): DatabaseSync {
  try {
    return takeLock(join(directory, 'lock.db'))
  } catch (error) {
    throw new RebuildRefused(describe(error).message)
  }
}

interface Found {
  readonly driver: RunnerDriver
  readonly object: OwnedObject
}

async function ask(drivers: readonly RunnerDriver[]) {
  const objects: Found[] = []
  const unasked: { runner: RunnerType; reason: string }[] = []
  for (const driver of drivers) {
    try {
      for (const object of await driver.list(AbortSignal.timeout(ASK_MS))) objects.push({ driver, object })
    } catch (error) {
      unasked.push({ runner: driver.type, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { objects, unasked }
}

async function remake({ kinds, fallback, now }: RebuildParts, { driver, object }: Found): Promise<ServiceRow> {
  const status = await driver.inspect(object.handle, AbortSignal.timeout(ASK_MS))
  const kind = kinds.find(({ id, runner_type }) => id === object.kind && runner_type === driver.type) ?? null
  return remakeRow({ runner: driver.type, object, status, kind, fallback: fallback(driver.type) }, now.toISOString())
}

/** A torn page may give a row twice. The newest counts. */
function unique(rows: readonly ServiceRow[]): ServiceRow[] {
  const byId = new Map<string, ServiceRow>()
  for (const row of rows) {
    const other = byId.get(row.record.id)
    if (other === undefined || other.record.revision < row.record.revision) byId.set(row.record.id, row)
  }
  return [...byId.values()]
}

/** A name belongs to one living service: of two that claim it, the later one is told apart by its id. */
function withOwnNames(rows: readonly ServiceRow[]): ServiceRow[] {
  const taken = new Set<string>()
  return rows.map((row) => {
    const { id, name, state } = row.record
    if (state === 'removed') return row
    const own = taken.has(name) ? `${name.slice(0, 40)}-${id.slice(0, 8)}` : name
    taken.add(own)
    return own === name ? row : { ...row, record: { ...row.record, name: own, fqn: `cocoons:${own}` } }
  })
}

function markMade(lock: DatabaseSync, now: Date): void {
  const made = lock.prepare('SELECT at FROM made').get()
  if (made === undefined) lock.prepare('INSERT INTO made VALUES (?)').run(now.toISOString())
}

function stampOf(now: Date): string {
  return now
    .toISOString()
    .replaceAll(/[^0-9]/g, '')
    .slice(0, 14)
}

function namesOf(rows: readonly ServiceRow[]): string[] {
  return rows.filter(({ record }) => record.state !== 'removed').map(({ record }) => record.name)
}
