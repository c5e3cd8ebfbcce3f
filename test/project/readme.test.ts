import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMMANDS } from '../../src/cli/main.ts'
import { unknownNameWarnings } from '../../src/config/names.ts'
import { errorCodes, HiveError } from '../../src/errors.ts'
import { parseKinds } from '../../src/kinds/parse.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const README = await readFile(join(ROOT, 'README.md'), 'utf8')
const NOTHING_ALLOWED = { allowHostPaths: [], allow: new Map() }

test('the README has every error code once, with its status and title, sorted by status', () => {
  for (const code of errorCodes) {
    const { status, title } = new HiveError(code, '')
    const row = `| \`${code}\` | ${status} | ${title} |\n`
    assert.equal(README.split(row).length, 2, `expected exactly one row: ${row}`)
  }
  const written = README.match(/^\| `HIVE_[A-Z_]+` \| \d{3} \|/gm) ?? []
  assert.equal(written.length, errorCodes.length)
  const statuses = written.map((row) => Number(/\| (\d{3}) \|/.exec(row)?.[1]))
  assert.deepEqual(statuses, statuses.toSorted())
})

test('every COCOON_KINDS example of the README is valid', () => {
  const examples = [...README.matchAll(/COCOON_KINDS='([^']*)'/g)].map(([, text = '']) => text)
  assert.ok(examples.length >= 4)
  for (const example of examples) assert.deepEqual(parseKinds(example, NOTHING_ALLOWED).problems, [], example)
})

test('every HIVE_ variable that the README names is a setting', () => {
  const codes = new Set<string>(errorCodes)
  const names = (README.match(/`HIVE_[A-Z_]+(?=[`=])/g) ?? []).map((name) => name.slice(1))
  const settings = names.filter((name) => !codes.has(name))
  assert.ok(settings.includes('HIVE_PORT'))
  assert.deepEqual(unknownNameWarnings(Object.fromEntries(settings.map((name) => [name, 'x']))), [])
})

test('the README lists the commands that the command line has, in its order', () => {
  const list = /`(serve · [^`]+)`/.exec(README)?.[1] ?? assert.fail('there is no list')
  const words = list.split('·').map((entry) => entry.trim().split(' ')[0])
  assert.deepEqual(
    words,
    COMMANDS.map(({ name }) => name),
  )
})

test('every npm script that the README and CI run exists', async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  const ci = await readFile(join(ROOT, '.ci', 'run'), 'utf8')
  const gates = /for gate in (.*); do/.exec(ci)?.[1]?.split(' ') ?? []
  const written = `${README}\n${ci}`.matchAll(/npm (?:run )?(start|test|demo|check)\b/g)
  const names = new Set([...gates, ...[...written].map(([, name]) => name)])
  assert.deepEqual(
    [...names].filter((name) => !Object.hasOwn(scripts, name ?? '')),
    [],
  )
  for (const command of ['npm ci', 'npm test']) {
    assert.match(README, new RegExp(`^${command} `, 'm'))
    assert.match(ci, new RegExp(`^.*\\b${command}(;|$)`, 'm'))
  }
})
