import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatKindProblems } from '../../src/kinds/format-problems.ts'
import { MAX_KINDS_BYTES, parseKinds } from '../../src/kinds/parse.ts'
import { complaintsOf, problemsOf, strict } from '../support/kind-texts.ts'

/** Against hanging, not a benchmark: each of these takes milliseconds, and quadratic time would take minutes. */
const DEADLINE_MS = 20_000

function repeated(part: string, bytes = MAX_KINDS_BYTES): string {
  return part.repeat(Math.floor(bytes / part.length))
}

function numbered(count: number, part: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => part(index)).join(',')
}

const hostile: Readonly<Record<string, string>> = {
  'a megabyte of {': repeated('{'),
  'a megabyte of }': repeated('}'),
  'a megabyte of [': repeated('['),
  'a megabyte of a:': repeated('a:'),
  'a megabyte of quotes in braces': `a:docker:{${repeated('"', MAX_KINDS_BYTES - 16)}`,
  'a megabyte of escapes in an open string': `a:docker:{"${repeated('\\"', MAX_KINDS_BYTES - 16)}`,
  'one string of a megabyte': `a:docker:{"image":"${repeated('x', MAX_KINDS_BYTES - 64)}"}`,
  'an image of slashes and dashes': `a:${repeated('a-/', MAX_KINDS_BYTES - 16)}`,
  'ten thousand nested braces': `a:docker:${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  'a hundred thousand entries with a fault': numbered(100_000, () => 'a:{}}'),
  'a hundred thousand equal ids': numbered(100_000, () => 'a:b'),
  'many keys in one config': `a:docker:{${numbered(70_000, (index) => `"${index}":1`)}}`,
  'many lines with a fault each': repeated('a:script:{x},\n'),
  'an argument of open placeholders': `a:script:{"command":"w","args":["${repeated('{kind', 120_000)}{no}"]}`,
  'a glob of stars': `a:script:{"command":"w","accept_environment":["${repeated('*A', 120_000)}"]}`,
}

for (const [name, text] of Object.entries(hostile)) {
  test(`K10 parseKinds: ${name} is refused without hanging`, { timeout: 60_000 }, () => {
    const startedAt = performance.now()
    assert.notEqual(parseKinds(text, strict).problems.length, 0)
    assert.ok(performance.now() - startedAt < DEADLINE_MS, 'took far longer than linear time would')
  })
}

test('K10 parseKinds: a hundred thousand good entries are read without hanging', { timeout: 60_000 }, () => {
  const startedAt = performance.now()
  const { kinds, problems } = parseKinds(
    numbered(100_000, (index) => `k${index}:b`),
    strict,
  )
  assert.equal(problems.length, 0)
  assert.equal(kinds.length, 100_000)
  assert.ok(performance.now() - startedAt < 2 * DEADLINE_MS, 'took far longer than linear time would')
})

test('K10 parseKinds: more than a megabyte is refused as a whole', () => {
  const problems = problemsOf(repeated('a:b,', 5 * MAX_KINDS_BYTES))
  assert.deepEqual(problems, [
    { entry: 0, id: null, field: null, wrong: 'is longer than 1048576 bytes', right: 'fewer or shorter kinds' },
  ])
})

test('K10 parseKinds: bytes are counted, not characters', () => {
  assert.match(complaintsOf(`a:${'€'.repeat(MAX_KINDS_BYTES / 2)}`), /longer than/)
})

test('K10 parseKinds: exactly a megabyte is still read', () => {
  assert.equal(parseKinds(`a:b${','.repeat(MAX_KINDS_BYTES - 3)}`, strict).kinds.length, 1)
})

test('K10 parseKinds: any text gives kinds or problems and never throws', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ':',
    ',',
    'a',
    'docker',
    'script',
    ' ',
    '\n',
    '\0',
    '{kind}',
    '{"image":"i"}',
    "'",
  )
  const soup = fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join(''))
  const anything = fc.oneof(
    soup,
    fc.string({ unit: 'binary' }),
    fc.json(),
    soup.map((text) => `[${text}]`),
  )
  fc.assert(
    fc.property(anything, (text) => {
      const { kinds, problems } = parseKinds(text, strict)
      assert.ok(text.trim() === '' || kinds.length + problems.length > 0 || /^[\s,[\]]*$/.test(text))
      formatKindProblems(problems)
    }),
    { numRuns: 2_000 },
  )
})

test('K10 parseKinds: any JSON value as a config gives kinds or problems and never throws', () => {
  const keys = fc.constantFrom(
    'image',
    'command',
    'args',
    'environment',
    'volumes',
    'ports',
    'restart',
    'security',
    'user',
    'working_dir',
    'health_check',
    'expose',
    'uses',
    'constructor',
    '__proto__',
  )
  const config = fc.dictionary(keys, fc.jsonValue({ maxDepth: 3 }))
  fc.assert(
    fc.property(config, fc.constantFrom('docker', 'podman', 'script'), (runner_config, runner_type) => {
      const text = JSON.stringify([{ id: 'a', runner_type, runner_config }])
      const { kinds, problems } = parseKinds(text, strict)
      assert.equal(kinds.length === 1, problems.length === 0)
    }),
    { numRuns: 1_000 },
  )
})

test('parseKinds: a secret environment value is in no problem and no warning, however the text is broken', () => {
  const secret = 'hunterSECRET'
  const texts = [
    `a:docker:{"image":"i","environment":{"P":"${secret}"`,
    `a:docker:{"image":"i","environment":{"P":"${secret}"}}}`,
    `a:docker:{"image":"i","environment":{"P":"${secret}}}`,
    `a:docker:{"image":"i","environment":{'P':'${secret}'}}`,
    `a:docker:{"image":"i","environment":{"P":${secret}}}`,
    `a:docker:{"image":"i","environment":["P=${secret}"]}`,
    `a:docker:{"image":"i","environment":{"P":"{${secret.toLowerCase()}}","COCOON_SECRET":"${secret}"}}`,
    `a:docker:{"image":"i","environment":{"P":{"x":"${secret}"},"Q":"\\u0000${secret}"}}`,
    `{"id":"a","image":"i"},"P":"${secret}"`,
    `[{"id":"a","image":"i","environment":{"P":"${secret}"}}]`,
    `[{"id":"a","runner_type":"docker","runner_config":"P=${secret}"}]`,
    `"P:${secret}":x,P=${secret}:x`,
    `${secret}`,
    `a:docker:{"image":"${secret} ${secret}","expose":{"name":"x","secret":"${secret}","vars":{"V":"${secret}"}}}`,
  ]
  for (const text of texts) {
    const { problems, warnings } = parseKinds(text, strict)
    assert.notEqual(problems.length, 0, text)
    const said = `${formatKindProblems(problems)}${JSON.stringify(problems)}${warnings.join('')}`.toLowerCase()
    assert.ok(!said.includes(secret.toLowerCase()), `${text}\n${said}`)
  }
})
