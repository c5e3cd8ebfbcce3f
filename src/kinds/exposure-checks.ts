import { timingSafeEqual } from 'node:crypto'
import type { Secret } from '../secret.ts'
import type { KindSpec, UseSpec } from './kind.ts'
import type { Report } from './report.ts'

/** A kind that was read without a problem, and where to say what is wrong with it beside the others. */
export interface ReadEntry {
  readonly entry: number
  readonly kind: KindSpec
  readonly report: Report
}

/**
 * Checks what only all kinds together can tell of `expose` and `uses`: each name is exposed by one kind, each used name
 * by some kind and with the same secret, nothing that two used kinds bring has the same name, and nobody waits for
 * itself in the end.
 *
 * @param isComplete  false = other entries could not be read, so one of them may be the one that is missed.
 */
export function checkExposure(entries: readonly ReadEntry[], isComplete: boolean): void {
  const exposers = exposersOf(entries)
  for (const entry of entries) {
    for (const [index, use] of entry.kind.config.uses.entries()) {
      const exposer = exposers.get(use.name)
      if (exposer) checkSecret(entry, { use, field: `uses[${index}].secret` }, exposer)
      else if (isComplete)
        entry.report.problem(`uses[${index}].name`, `no kind exposes ${use.name}`, namesOf(exposers.keys()))
    }
    checkVariables(entry, exposers)
  }
  for (const ring of ringsOf(entries, exposers)) sayRing(ring)
}

type Exposers = ReadonlyMap<string, ReadEntry>

function exposersOf(entries: readonly ReadEntry[]): Exposers {
  const exposers = new Map<string, ReadEntry>()
  for (const entry of entries) {
    const name = entry.kind.config.expose?.name
    if (name === undefined) continue
    const before = exposers.get(name)
    if (before)
      entry.report.problem('expose.name', `${place(before)} exposes ${name} already`, 'one kind for each name')
    else exposers.set(name, entry)
  }
  return exposers
}

function namesOf(names: Iterable<string>): string {
  const known = [...names]
  return known.length === 0 ? 'a kind with "expose"' : `one of ${known.join(', ')}`
}

function checkSecret(
  { report }: ReadEntry,
  { use, field }: { readonly use: UseSpec; readonly field: string },
  exposer: ReadEntry,
): void {
  const asked = exposer.kind.config.expose?.secret ?? null
  if (sameSecret(asked, use.secret)) return
  if (asked === null) report.problem(field, `${place(exposer)} asks for none`, 'no secret, or the same in both')
  else if (use.secret === null) report.problem(field, `is missing: ${place(exposer)} asks for one`, 'its secret')
  else report.problem(field, `is not the one of ${place(exposer)}`, 'its secret')
}

function sameSecret(left: Secret | null, right: Secret | null): boolean {
  if (left === null || right === null) return left === right
  const [one, other] = [Buffer.from(left.reveal()), Buffer.from(right.reveal())]
  return one.length === other.length && timingSafeEqual(one, other)
}

function checkVariables({ kind, report }: ReadEntry, exposers: Exposers): void {
  const bringers = new Map<string, string>()
  for (const [index, { name }] of kind.config.uses.entries()) {
    for (const variable of Object.keys(exposers.get(name)?.kind.config.expose?.vars ?? {})) {
      const before = bringers.get(variable)
      if (before !== undefined)
        report.problem(`uses[${index}]`, `${name} brings ${variable}, and so does ${before}`, 'vars with other names')
      bringers.set(variable, name)
    }
  }
}

/** Each ring of kinds that wait for each other, beginning where it is entered first. */
function ringsOf(entries: readonly ReadEntry[], exposers: Exposers): readonly (readonly ReadEntry[])[] {
  const rings: (readonly ReadEntry[])[] = []
  const done = new Set<ReadEntry>()
  // A path of its own instead of recursion: a chain of thousands of kinds must not end in a stack overflow.
  const path: ReadEntry[] = []
  const ways = new Map<ReadEntry, Iterator<ReadEntry>>()
  const enter = (entry: ReadEntry) => {
    path.push(entry)
    ways.set(entry, usedBy(entry, exposers))
  }
  for (const start of entries) {
    if (!done.has(start)) enter(start)
    for (let last = path.at(-1); last; last = path.at(-1)) {
      const used = ways.get(last)?.next().value as ReadEntry | undefined
      if (!used) done.add(path.pop() as ReadEntry)
      else if (done.has(used)) continue
      else if (ways.has(used)) rings.push(path.slice(path.indexOf(used)))
      else enter(used)
    }
  }
  return rings
}

function* usedBy({ kind }: ReadEntry, exposers: Exposers): Generator<ReadEntry> {
  for (const { name } of kind.config.uses) {
    const used = exposers.get(name)
    if (used) yield used
  }
}

function sayRing(ring: readonly ReadEntry[]): void {
  const [first] = ring
  const ids = [...ring, first].map((entry) => entry?.kind.id)
  first?.report.problem('uses', `goes round in a ring: ${ids.join(' uses ')}`, 'kinds that do not wait for each other')
}

function place({ entry, kind }: ReadEntry): string {
  return `entry ${entry} (${kind.id})`
}
