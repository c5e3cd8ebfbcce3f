import { deepFreeze } from './deep-freeze.ts'
import { DEFAULT_KINDS } from './defaults.ts'
import { isKindId, type RawKind, readJsonEntry, readKind } from './entry.ts'
import { checkExposure, type ReadEntry } from './exposure-checks.ts'
import { isObject } from './fields.ts'
import { findJsonFault } from './json-fault.ts'
import type { KindPolicy, KindProblem, KindSpec } from './kind.ts'
import { idOf, readListEntry } from './list-entry.ts'
import { findMistake } from './mistaken.ts'
import { positionsIn } from './positions.ts'
import { type Findings, type Report, reportOn } from './report.ts'
import { splitEntries } from './split.ts'

/** COCOON_KINDS may be this long, counted in bytes of UTF-8. */
export const MAX_KINDS_BYTES = 1024 * 1024

export interface ParsedKinds {
  /** The kinds without a problem, in the order written. Only to be used when there are no problems at all. */
  readonly kinds: readonly KindSpec[]
  readonly problems: readonly KindProblem[]
  /** Whole lines for the log; never with a secret value. */
  readonly warnings: readonly string[]
}

/**
 * Reads COCOON_KINDS in any of its formats and collects every problem; never throws. Time grows with the length of the
 * text and no faster. Problems of the text as a whole carry the entry number 0.
 *
 * @param text    undefined, empty or blank = the default kinds; `[]` = none.
 * @param policy  What the operator allows beyond the safe defaults.
 */
export function parseKinds(text: string | undefined, policy: KindPolicy): ParsedKinds {
  const findings: Findings = { problems: [], warnings: [] }
  const kinds = readText(text ?? '', policy, findings)
  return deepFreeze({ kinds, ...findings })
}

function readText(text: string, policy: KindPolicy, findings: Findings): readonly KindSpec[] {
  if (text.length > MAX_KINDS_BYTES || Buffer.byteLength(text) > MAX_KINDS_BYTES) {
    reportOn(findings, 0, null).problem(null, `is longer than ${MAX_KINDS_BYTES} bytes`, 'fewer or shorter kinds')
    return []
  }
  if (text.trim() === '') return readArray(DEFAULT_KINDS, policy, findings)
  return text.trimStart().startsWith('[') ? readJson(text, policy, findings) : readList(text, policy, findings)
}

function readJson(text: string, policy: KindPolicy, findings: Findings): readonly KindSpec[] {
  const json = text.trim()
  const fault = findJsonFault(json)
  if (fault === null) return readArray(JSON.parse(json) as readonly unknown[], policy, findings)
  const offset = text.length - text.trimStart().length + fault.offset
  const report = reportOn(findings, fault.elementsBefore + 1, null)
  report.problem(null, `${fault.wrong} (${positionsIn(text)(offset)})`, fault.right)
  return []
}

function readArray(values: readonly unknown[], policy: KindPolicy, findings: Findings): readonly KindSpec[] {
  const seen = new Map<string, number>()
  const read = values.flatMap((value, index) => {
    const id = isObject(value) && isKindId(value['id']) ? value['id'] : null
    const report = reportOn(findings, index + 1, id)
    noteId(id, index + 1, seen, report)
    return readEntry(readJsonEntry(value, report), { entry: index + 1, policy, report })
  })
  return together(read, findings)
}

interface Place {
  readonly entry: number
  readonly policy: KindPolicy
  readonly report: Report
}

function readEntry(raw: RawKind | null, { entry, policy, report }: Place): readonly ReadEntry[] {
  const kind = raw === null ? null : readKind(raw, policy, report)
  return kind === null ? [] : [{ entry, kind, report }]
}

/** What can only be told when all entries are read. */
function together(read: readonly ReadEntry[], findings: Findings): readonly KindSpec[] {
  checkExposure(read, findings.problems.length === 0)
  return read.filter(({ report }) => report.problemCount() === 0).map(({ kind }) => kind)
}

function readList(text: string, policy: KindPolicy, findings: Findings): readonly KindSpec[] {
  const mistake = findMistake(text.trim())
  if (mistake !== null) {
    reportOn(findings, 1, null).problem(null, mistake.wrong, mistake.right)
    return []
  }
  const positionOf = positionsIn(text)
  const seen = new Map<string, number>()
  const read = splitEntries(text).flatMap((entry, index) => {
    const id = idOf(entry)
    const report = reportOn(findings, index + 1, id)
    noteId(id, index + 1, seen, report)
    return readEntry(readListEntry(entry, positionOf, report), { entry: index + 1, policy, report })
  })
  return together(read, findings)
}

/** Ids are compared without case, because they become parts of names where case does not count. */
function noteId(id: string | null, entry: number, seen: Map<string, number>, report: Report): void {
  if (id === null) return
  const before = seen.get(id.toLowerCase())
  if (before === undefined) seen.set(id.toLowerCase(), entry)
  else report.problem('id', `entry ${before} has the same id (case does not count)`, 'each id once')
}
