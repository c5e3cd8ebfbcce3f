import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/**
 * Which rows of the fault matrix (F) and of the tables of hostile input (A K P W U) have a test: a row counts when its
 * id begins the title of a test, or an entry of a table that titles are made of. Prints each row with the titles and
 * their files, or `none` and why (scripts/rows-without-test.json).
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
const ROOT = new URL('..', import.meta.url).pathname
/** The ids that a string literal begins with, such as `F1 F2: title`, `A1, A2: title` or `K3`, and what follows them. */
const LITERAL = /(['"`])((?:[FAKPWU]\d{1,2}(?:, ?| |-|–|\/|(?=['"`:.(])|(?=\))))+)(.*?)\1/g

const reasons = JSON.parse(await readFile(join(ROOT, 'scripts/rows-without-test.json'), 'utf8')) as Record<
  string,
  string
>
const found = await rowsInTests(join(ROOT, 'test'))
const onlyMissing = process.argv.includes('--missing')
const ids = Object.entries(ROWS).flatMap(([letter, numbers]) => numbers.map((number) => `${letter}${number}`))
for (const id of ids) {
  const titles = [...(found.get(id) ?? [])]
  if (titles.length > 0 && onlyMissing) continue
  const lines = titles.length > 0 ? titles : [`none: ${reasons[id] ?? 'it is not written yet'}`]
  process.stdout.write(`${id.padEnd(4)} ${lines.join('\n     ')}\n`)
}
const missing = ids.filter((id) => !found.has(id)).length
process.stdout.write(`${ids.length - missing} of ${ids.length} rows have a test, ${missing} have none\n`)

/** Titles with their files, by row id. */
async function rowsInTests(directory: string): Promise<Map<string, Set<string>>> {
  const rows = new Map<string, Set<string>>()
  for (const file of (await readdir(directory, { recursive: true })).sort()) {
    if (!file.endsWith('.ts')) continue
    const path = join(directory, file)
    for (const [, , ids = '', rest = ''] of (await readFile(path, 'utf8')).matchAll(LITERAL)) {
      const title = rest.replace(/^[:.) ]+/, '')
      const line = `${relative(ROOT, path)}${title === '' ? '' : `: ${title}`}`
      for (const id of expand(ids)) rows.set(id, (rows.get(id) ?? new Set()).add(line))
    }
  }
  return rows
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
