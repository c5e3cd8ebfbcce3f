import type { KindProblem } from './kind.ts'

/** Where the readers of one entry say what is wrong, so that every problem is collected and none ends the reading. */
export interface Report {
  /**
   * @param field  Path inside the entry, such as `args[2]`; null = the entry as a whole.
   * @param wrong  What is wrong, never with a secret value in it.
   * @param right  What would be right.
   */
  problem(field: string | null, wrong: string, right: string): void
  /** Something the operator should know that is no reason to refuse. Never a value. */
  warning(field: string, text: string): void
  /** Problems reported so far for this entry. */
  readonly problemCount: () => number
}

/** What all entries together have to say. */
export interface Findings {
  readonly problems: KindProblem[]
  readonly warnings: string[]
}

/** Opens the report of one entry; what is said goes into `findings`, in order. */
export function reportOn(findings: Findings, entry: number, id: string | null): Report {
  let count = 0
  return {
    problem(field, wrong, right) {
      count += 1
      findings.problems.push({ entry, id, field, wrong, right })
    },
    warning(field, text) {
      findings.warnings.push(`COCOON_KINDS entry ${entry}${id === null ? '' : ` (${id})`}, ${field}: ${text}`)
    },
    problemCount: () => count,
  }
}

const MAX_QUOTED = 48

/** A name for use in a problem: quoted, escaped and cut. For names only (keys, types, placeholders), never for values. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > MAX_QUOTED ? `${name.slice(0, MAX_QUOTED)}…` : name)
}
