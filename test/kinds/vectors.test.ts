import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatKindProblems } from '../../src/kinds/format-problems.ts'
import { parseKinds } from '../../src/kinds/parse.ts'
import { strict } from '../support/kind-texts.ts'
import { type Vector, vectors } from './vectors.ts'

/** Vectors that are agreed on outside this project; not there in a published copy, where our own have to do. */
const AGREED = join(import.meta.dirname, '../../../shared/kinds/vectors.json')

function agreedVectors(): readonly Vector[] {
  return existsSync(AGREED) ? (JSON.parse(readFileSync(AGREED, 'utf8')) as { vectors: Vector[] }).vectors : []
}

for (const { name, input, kinds, error_mentions: mentions = [] } of [...agreedVectors(), ...vectors]) {
  test(`COCOON_KINDS: ${name} gives ${kinds === undefined ? 'a complaint' : `${kinds.length} kinds`}`, () => {
    const parsed = parseKinds(input ?? undefined, strict)
    const complaint = formatKindProblems(parsed.problems)
    if (kinds === undefined) {
      assert.notEqual(parsed.problems.length, 0, 'the text was accepted')
      for (const word of mentions)
        assert.ok(complaint.includes(word), `${JSON.stringify(word)} is not in:\n${complaint}`)
    } else {
      assert.equal(complaint, '')
      const wire = parsed.kinds.map(({ config: _, ...fields }) => fields)
      assert.deepEqual(wire, kinds)
    }
  })
}
