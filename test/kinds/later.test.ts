import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boxText, nativeText, problemsOf } from '../support/kind-texts.ts'

const NOT_YET = /does not act on it yet/

/** Fields of a later version: values of the right shape, and of wrong ones. */
const forAll: Readonly<Record<string, { readonly right: readonly unknown[]; readonly wrong: readonly unknown[] }>> = {
  expose: {
    right: [{ name: 'db', secret: 's', vars: { URL: 'x' } }],
    wrong: [{}, 'db', { name: 'DB' }, { name: 'db', vars: [1] }],
  },
  uses: { right: [[{ name: 'db', as: 'DB' }], []], wrong: [{ name: 'db' }, [{}], ['db']] },
}

function refusesWell(text: (fields: object) => string, field: string, cases: (typeof forAll)[string]): void {
  for (const value of cases.right) {
    const [problem, ...more] = problemsOf(text({ [field]: value }))
    assert.equal(problem?.field, field)
    assert.match(problem.wrong, NOT_YET)
    assert.equal(more.length, 0)
  }
  for (const value of cases.wrong) {
    const problems = problemsOf(text({ [field]: value }))
    assert.ok(problems.length >= 2, `${field}: ${JSON.stringify(value)} has the right shape`)
    assert.equal(problems.filter(({ wrong }) => NOT_YET.test(wrong)).length, 1)
  }
}

for (const [field, cases] of Object.entries(forAll)) {
  test(`${field} is checked for its shape and then refused with the reason, for containers and scripts`, () => {
    refusesWell(boxText, field, cases)
    refusesWell(nativeText, field, cases)
  })
}

test('user "auto" of a container is refused with the reason', () => {
  refusesWell(boxText, 'user', { right: ['auto'], wrong: [] })
})
