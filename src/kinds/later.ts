import type { Reader } from './fields.ts'

/** A value that the design names and no code acts on yet: its shape is checked, then it is refused with that reason. */
export function refusedForNow(shape: Reader<unknown>): Reader<never> {
  return (value, field, report) => {
    shape(value, field, report)
    report.problem(field, 'is set, but this version of Hive does not act on it yet', 'a kind without it')
    return undefined
  }
}
