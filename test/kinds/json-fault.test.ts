import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findJsonFault } from '../../src/kinds/json-fault.ts'

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test('findJsonFault: finds nothing in whatever JSON.stringify writes', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(0, 1, '\t'), (value, indent) => {
      assert.equal(findJsonFault(JSON.stringify(value, null, indent)), null)
    }),
  )
})

test('findJsonFault: agrees with JSON.parse on any text, equal keys and depth left aside', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b"',
    '1',
    '-',
    '0',
    '.5',
    'e1',
    'true',
    'null',
    ' ',
    '"',
    '\\',
    '\\u00e4',
    '\n',
    'x',
  )
  fc.assert(
    fc.property(
      fc.array(pieces, { maxLength: 10 }).map((parts) => parts.join('')),
      (text) => {
        const fault = findJsonFault(text)
        if (fault?.wrong !== 'a key stands twice in one JSON object') assert.equal(fault === null, isJson(text), text)
      },
    ),
    { numRuns: 20_000 },
  )
})

test('findJsonFault: says where the fault is and how many elements came before', () => {
  assert.deepEqual(findJsonFault('[{"a":1},{"b":2},{"c" 3}]'), {
    offset: 22,
    wrong: 'the JSON is not valid here',
    right: 'a :',
    elementsBefore: 2,
  })
})

test('findJsonFault: elements of inner arrays are not counted', () => {
  assert.equal(findJsonFault('[[1,2,3],[4,5 6]]')?.elementsBefore, 1)
  assert.equal(findJsonFault('{"a":[1,2,x]}')?.elementsBefore, 0)
})

test('findJsonFault: equal keys are a fault, also when one is escaped, but not in two objects', () => {
  assert.equal(findJsonFault('{"a":1,"\\u0061":2}')?.offset, 7)
  assert.equal(findJsonFault('[{"a":1},{"a":{"a":2}}]'), null)
})

test('findJsonFault: 32 levels are read, 33 are not', () => {
  assert.equal(findJsonFault('['.repeat(32) + ']'.repeat(32)), null)
  assert.match(findJsonFault('['.repeat(33) + ']'.repeat(33))?.wrong ?? 'accepted', /too deeply/)
})
