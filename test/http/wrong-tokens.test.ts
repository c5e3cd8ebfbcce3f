import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { WrongTokens } from '../../src/http/wrong-tokens.ts'

suite('wrong tokens of one address', () => {
  test('A31: beyond the budget they are refused until the window is over', () => {
    let now = 0
    const tokens = new WrongTokens({ now: () => now })
    for (let n = 0; n < 100; n += 1) assert.equal(tokens.refuse('192.0.2.1'), null)
    now = 12_500
    const error = tokens.refuse('192.0.2.1')
    assert.deepEqual([error?.code, error?.status, error?.retryAfterS], ['HIVE_TOO_MANY_WRONG_TOKENS', 429, 48])
    assert.equal(tokens.refuse('192.0.2.2'), null, 'another address')
    now = 60_000
    assert.equal(tokens.refuse('192.0.2.1'), null, 'a new window')
  })

  test('A31: however many addresses there are, few are remembered', () => {
    let now = 0
    const tokens = new WrongTokens({ now: () => now, mostAddresses: 50, budget: 1 })
    for (let n = 0; n < 10_000; n += 1) tokens.refuse(`10.0.${n >> 8}.${n & 255}`)
    assert.equal(tokens.size, 50)
    assert.equal(tokens.refuse('10.0.39.15')?.status, 429, 'the newest are kept')
    now = 60_000
    tokens.refuse('192.0.2.1')
    assert.equal(tokens.size, 1, 'what is over is forgotten')
  })

  test('A31: a /64 of IPv6 is one address, and one that is mapped is the IPv4 one it holds', () => {
    const tokens = new WrongTokens({ budget: 1 })
    tokens.refuse('2001:db8:0:1::1')
    assert.equal(tokens.refuse('2001:db8:0:1:a:b:c:d')?.status, 429)
    assert.equal(tokens.refuse('2001:db8::1:0:0:0:1')?.status, 429, 'the same, written another way')
    assert.equal(tokens.refuse('2001:db8:0:2::1'), null)
    tokens.refuse('::ffff:192.0.2.1')
    assert.equal(tokens.refuse('::ffff:192.0.2.2'), null)
    assert.equal(tokens.refuse(undefined), null)
  })
})
