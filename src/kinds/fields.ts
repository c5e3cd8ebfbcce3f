import { quoted, type Report } from './report.ts'

/** Reads one value of a config. `undefined` = it was wrong and the report says so. */
export type Reader<T> = (value: unknown, field: string, report: Report) => T | undefined
export type Readers = Readonly<Record<string, Reader<unknown>>>
export type Read<R extends Readers> = { readonly [K in keyof R]?: Exclude<ReturnType<R[K]>, undefined> }

export const MAX_ITEMS = 1000
/** One argument or `NAME=value` of execve(2): MAX_ARG_STRLEN on Linux, its NUL included. */
export const MAX_TEXT_BYTES = 131_071
/** Milliseconds; beyond it a timer would need special care (setTimeout takes 31 bits). */
export const MAX_DURATION_MS = 24 * 60 * 60 * 1000

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a wrong value is, in a word: its type, never the value. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Reads the keys of an object by a table; a key that is not in the table is a problem that lists the known ones. */
export function readObject<R extends Readers>(
  value: Readonly<Record<string, unknown>>,
  readers: R,
  prefix: string,
  report: Report,
): Read<R> {
  const read: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(value)) {
    const reader = Object.hasOwn(readers, key) ? readers[key] : undefined
    if (reader === undefined) unknownKey(key, readers, prefix, report)
    else {
      const result = reader(member, prefix + key, report)
      if (result !== undefined) read[key] = result
    }
  }
  return read as Read<R>
}

function unknownKey(key: string, readers: Readers, prefix: string, report: Report): void {
  const known = Object.keys(readers).join(', ')
  report.problem(prefix === '' ? null : prefix.slice(0, -1), `${quoted(key)} is not a known field`, `one of ${known}`)
}

/** An object whose keys are read by a table. */
export function objectOf<R extends Readers>(readers: R, required: readonly (keyof R & string)[] = []): Reader<Read<R>> {
  return (value, field, report) => {
    if (!isObject(value)) return wrongType(value, 'a JSON object', field, report)
    for (const key of required) {
      if (!Object.hasOwn(value, key))
        report.problem(field, `${quoted(key)} is missing`, `an object with ${required.join(', ')}`)
    }
    return readObject(value, readers, `${field}.`, report)
  }
}

/** An array of at most {@link MAX_ITEMS}, every item read by `item`; wrong items are reported one by one and left out. */
export function listOf<T>(item: Reader<T>, what: string): Reader<readonly T[]> {
  return (value, field, report) => {
    if (!Array.isArray(value)) return wrongType(value, `an array of ${what}`, field, report)
    if (value.length > MAX_ITEMS) {
      report.problem(field, `has ${value.length} items`, `at most ${MAX_ITEMS} ${what}`)
      return undefined
    }
    return value.flatMap((member: unknown, index) => {
      const read = item(member, `${field}[${index}]`, report)
      return read === undefined ? [] : [read]
    })
  }
}

/** A string that fits into one argument and holds no NUL. */
export const text: Reader<string> = (value, field, report) => {
  if (typeof value !== 'string') return wrongType(value, 'a string', field, report)
  if (value.includes('\0')) {
    report.problem(field, 'holds a NUL character', 'text without it')
    return undefined
  }
  if (value.length > MAX_TEXT_BYTES || Buffer.byteLength(value) > MAX_TEXT_BYTES) {
    report.problem(field, `is longer than ${MAX_TEXT_BYTES} bytes`, 'a shorter text, or a file that the cocoon reads')
    return undefined
  }
  return value
}

/** A string of a short form, such as a name: at most 255 characters that match `form`. */
export function textLike(form: RegExp, right: string): Reader<string> {
  return (value, field, report) => {
    const read = text(value, field, report)
    if (read === undefined || (read.length <= 255 && form.test(read))) return read
    report.problem(field, read === '' ? 'is empty' : 'does not have the right form', right)
    return undefined
  }
}

export function oneOf<const T extends string>(...choices: readonly T[]): Reader<T> {
  return (value, field, report) => {
    const found = choices.find((choice) => choice === value)
    if (found === undefined) report.problem(field, 'is not one of the choices', choices.map(quoted).join(' or '))
    return found
  }
}

export const flag: Reader<boolean> = (value, field, report) =>
  typeof value === 'boolean' ? value : wrongType(value, 'true or false', field, report)

/** A whole JSON number between two bounds, both included. */
export function wholeNumber(least: number, most: number): Reader<number> {
  return (value, field, report) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    report.problem(field, wrongNumber(value), `a whole number from ${least} to ${most}`)
    return undefined
  }
}

function wrongNumber(value: unknown): string {
  return typeof value === 'number' ? 'is out of range' : `is ${typeName(value)}`
}

export const portNumber = wholeNumber(1, 65_535)

/** Reports a value of the wrong type; returns nothing, so that readers can end with it. */
export function wrongType(value: unknown, right: string, field: string, report: Report): undefined {
  report.problem(field, `is ${typeName(value)}`, right)
  return undefined
}
