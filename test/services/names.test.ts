import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fqnOf, isServiceName, newServiceName, plainName } from '../../src/services/names.ts'

describe('service names', () => {
  it('are DNS labels of 1 to 56 characters', () => {
    for (const name of ['a', '0', 'web', 'a-b', 'worker-1', '1a', `${'a'.repeat(56)}`])
      assert.ok(isServiceName(name), name)
  })

  it('A6, A7: anything that is no label is refused', () => {
    const wrong = ['', 'A', 'a_b', '-a', 'a-', 'a..b', 'a.b', '.', '..', 'a--b', 'a'.repeat(57), 'a'.repeat(1_000_000)]
    const escapes = ['a%2fb', '%2e%2e', 'a/b', 'a\0', 'a\r\nb', ' a', 'a ', 'a\n', '{kind}', 'cocoons:a']
    for (const name of [...wrong, ...escapes])
      assert.equal(isServiceName(name), false, JSON.stringify(name.slice(0, 20)))
  })

  it('A8: letters that only look alike are refused, none is folded into another name', () => {
    const lookalikes = ['wеb', 'ｗeb', 'web\u0301', '\u202eweb', 'ſ', '\u212a', 'web😀', 'xn--e1afmkfd', 'weß', 'ﬁ']
    for (const name of lookalikes) assert.equal(isServiceName(name), false, JSON.stringify(name))
  })

  it('A9: names of JavaScript objects are names like any other, or none', () => {
    for (const name of ['constructor', 'null', 'localhost', 'api', 'metrics']) assert.ok(isServiceName(name))
    for (const name of ['__proto__', 'toString', 'hasOwnProperty']) assert.equal(isServiceName(name), false)
  })

  it('no accepted text holds anything but a-z, 0-9 and single dashes inside', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('a', 'z', '0', '-', 'A', '.', '\n') })),
        (text) => {
          const simple = /^[a-z0-9]+(-[a-z0-9]+)*$/.test(text) && text.length <= 56 && !text.includes('\n')
          assert.equal(isServiceName(text), simple)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('are written with and without the prefix of their source', () => {
    assert.equal(fqnOf('web'), 'cocoons:web')
    assert.equal(plainName('cocoons:web'), 'web')
    assert.equal(plainName('web'), 'web')
    assert.equal(isServiceName(plainName('cocoons:cocoons:web')), false)
  })

  it('are made up as cocoon- and eight hex digits', () => {
    const made = new Set(Array.from({ length: 500 }, newServiceName))
    for (const name of made) assert.ok(/^cocoon-[0-9a-f]{8}$/.test(name) && isServiceName(name))
    assert.equal(made.size, 500)
  })
})
