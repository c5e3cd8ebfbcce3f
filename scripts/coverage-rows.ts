import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/**
 * Which rows of the fault matrix (F) and of the tables of hostile input (A K P W U) have a test: a row counts when its
 * id begins the title of a test, or an entry of a table that titles are made of.
 *
 *   npm run rows [-- --missing]
 */

const ROWS: Readonly<Record<string, readonly number[]>> = {
  F: [...range(1, 17), ...range(20, 69)],
  A: range(1, 37),
  K: range(1, 19),
  P: [...range(1, 36), 60],
  W: range(1, 14),
  U: range(1, 14),
}

/** Rows that nothing of Hive acts on yet. */
const LATER: Readonly<Record<string, string>> = {
  A4: 'there is one token, without scopes',
  F69: 'the swarm runner comes later',
}

const ROOT = new URL('..', import.meta.url).pathname
const found = await rowsInTests(join(ROOT, 'test'))
const onlyMissing = process.argv.includes('--missing')
let missing = 0
for (const [letter, numbers] of Object.entries(ROWS)) {
  for (const id of numbers.map((number) => `${letter}${number}`)) {
    const files = found.get(id)
    if (files === undefined) missing++
    if (files !== undefined && onlyMissing) continue
    const where = files === undefined ? `no test${LATER[id] ? ` (${LATER[id]})` : ''}` : [...files].join(' ')
    process.stdout.write(`${id.padEnd(4)} ${where}\n`)
  }
}
const all = Object.values(ROWS).flat().length
process.stdout.write(`${all - missing} of ${all} rows have a test, ${missing} have none\n`)

/** Files by row id. */
async function rowsInTests(directory: string): Promise<Map<string, Set<string>>> {
  const rows = new Map<string, Set<string>>()
  for (const file of await readdir(directory, { recursive: true })) {
    if (!file.endsWith('.ts')) continue
    const path = join(directory, file)
    for (const id of idsIn(await readFile(path, 'utf8'))) {
      const files = rows.get(id) ?? new Set()
      rows.set(id, files.add(relative(ROOT, path)))
    }
  }
  return rows
}

/** Ids at the beginning of string literals, such as `F1 F2: title`, `A1, A2: title` or `K3`. */
function* idsIn(source: string): Generator<string> {
  for (const [, ids = ''] of source.matchAll(/['"`]((?:[FAKPWU]\d{1,2}(?:, ?| |-|–|\/|(?=['"`:.)(])))+)/g))
    for (const id of expand(ids)) yield id
}

/** `F1-F4` is four rows. */
function expand(ids: string): string[] {
  return ids.split(/[ ,/]+/).flatMap((part) => {
    const [, letter = '', first, last] = /^([A-Z])(\d+)[-–][A-Z]?(\d+)$/.exec(part) ?? []
    if (first !== undefined) return range(Number(first), Number(last)).map((number) => `${letter}${number}`)
    return part.replace(/[-–]$/, '')
  })
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at)
}
