/** A part of a table by its key, `from` included and `to` not, and the end it is read from. */
export interface Cut {
  readonly from: string
  readonly to: string
  readonly backwards: boolean
}

/** Gives what it finds to `take`, in order; throws at the first thing that cannot be read. */
type Read<Row> = (cut: Cut, take: (row: Row) => void) => void

/** Ids are hexadecimal. */
const DIGITS = [...'0123456789abcdef']
/** Some 300 parts at most; a page holds few rows. */
const DEPTH = 2
const BEHIND_ALL = '\u{10ffff}'

/**
 * Reads everything of a table that can be reached. A torn page ends a reading, so the whole is read from both ends, and,
 * as long as they do not meet, again in smaller parts, each of which is looked up from the root.
 *
 * @returns a row more than once, if it is in several parts.
 */
export function readAround<Row>(read: Read<Row>): Row[] {
  const rows: Row[] = []
  const isWhole = (cut: Cut) => {
    try {
      read(cut, (row) => rows.push(row))
      return true
    } catch {
      return false
    }
  }
  const around = (prefix: string, from: string, to: string): void => {
    if (isWhole({ from, to, backwards: false })) return
    isWhole({ from, to, backwards: true })
    if (prefix.length === DEPTH) return
    for (const [at, digit] of DIGITS.entries()) {
      const next = DIGITS[at + 1]
      around(prefix + digit, prefix + digit, next === undefined ? prefix + BEHIND_ALL : prefix + next)
    }
  }
  around('', '', BEHIND_ALL)
  return rows
}
