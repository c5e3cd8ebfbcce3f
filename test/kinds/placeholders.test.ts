import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fillPlaceholders, PLACEHOLDERS, placeholdersIn } from '../../src/kinds/placeholders.ts'
import { complaintsOf, nativeConfig, nativeText } from '../support/kind-texts.ts'

const values = { kind: 'K', service_name: 'S', request_id: 'R', port: '80' }

const filled: Readonly<Record<string, string>> = {
  '{kind}-{service_name}/{request_id}:{port}': 'K-S/R:80',
  '': '',
  '{{kind}}': '{kind}',
  '{{{kind}}}': '{K}',
  '{kind': '{kind',
  'kind}': 'kind}',
  '{': '{',
  '}': '}',
  '{{': '{',
  '}}': '}',
  '{}': '{}',
  '{KIND}': '{KIND}',
  '{kind1}': '{kind1}',
  '{ kind }': '{ kind }',
  '${kind}': '$K',
  '{kind{kind}': '{kindK',
  '{kind}}': 'K}',
  '{"a":{"b":1}}': '{"a":{"b":1}',
  '{{"a":{{"b":1}}}}': '{"a":{"b":1}}',
  'ä{kind}€': 'äK€',
}

for (const [template, expected] of Object.entries(filled)) {
  test(`K16 fillPlaceholders: ${JSON.stringify(template)} becomes ${JSON.stringify(expected)}`, () => {
    assert.equal(fillPlaceholders(template, values), expected)
  })
}

test('K15 fillPlaceholders: what a value brings in is not looked at again', () => {
  const tricky = { kind: '{service_name}', service_name: '{{', request_id: '$(id) -x', port: '{port}' }
  assert.equal(
    fillPlaceholders('{kind} {service_name}{request_id}}}{port}', tricky),
    '{service_name} {{$(id) -x}{port}',
  )
})

test('fillPlaceholders: any text survives being escaped and filled', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('{', '}', 'a', '_', 'kind', 'ä') }), (text) => {
      const escaped = text.replaceAll('{', '{{').replaceAll('}', '}}')
      assert.equal(fillPlaceholders(escaped, values), text)
    }),
  )
})

test('fillPlaceholders: values come out as they are, wherever they stand', () => {
  const plain = fc.string().map((text) => text.replaceAll(/[{}]/g, ''))
  fc.assert(
    fc.property(plain, plain, fc.constantFrom(...PLACEHOLDERS), fc.string(), (before, behind, name, value) => {
      assert.equal(
        fillPlaceholders(`${before}{${name}}${behind}`, { ...values, [name]: value }),
        before + value + behind,
      )
    }),
  )
})

test('fillPlaceholders: a placeholder without a value is the caller’s fault, also one named like a method', () => {
  assert.throws(() => fillPlaceholders('{port}', { kind: 'K' }), /\{port\}/)
  assert.throws(() => fillPlaceholders('{constructor}', { kind: 'K' }), /\{constructor\}/)
})

test('placeholdersIn: names every placeholder in order, escapes left out', () => {
  assert.deepEqual(placeholdersIn('{kind}{{kind}}{x}{port}{kind}'), ['kind', 'x', 'port', 'kind'])
})

test('K16 an unknown placeholder is refused at load in every field that has placeholders', () => {
  for (const fields of [
    { args: ['{unknown}'] },
    { working_dir: '/x/{unknown}' },
    { args: ['{__proto__}'] },
    { args: ['{constructor}'] },
  ])
    assert.match(complaintsOf(nativeText(fields)), /is not a known placeholder. Right: \{kind\}, \{service_name\}/)
  assert.match(
    complaintsOf(nativeText({ environment: { A: '{unknown}' } })),
    /environment.A: holds a placeholder that is not known/,
  )
})

test('K16 an unknown placeholder that stands many times is reported once for its field', () => {
  assert.equal(complaintsOf(nativeText({ args: ['{a}{a}{b}'] })).split('\n').length, 2)
})

test('K16 braces of one’s own are accepted', () => {
  assert.deepEqual(nativeConfig({ args: ['{', '}', '{{unknown}}', '{Upper}', '{"a":1}'] }).args.length, 5)
})
