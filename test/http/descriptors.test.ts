import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Descriptors, type DescriptorUse } from '../../src/http/descriptors.ts'

function gauge(use: { current: DescriptorUse | null }) {
  const clock = { ms: 0, reads: 0 }
  const read = () => {
    clock.reads += 1
    return use.current
  }
  return { clock, descriptors: new Descriptors({ read, now: () => clock.ms }) }
}

suite('descriptors', () => {
  test('F51: work for cocoons ends at the reserve, connections at half of it', () => {
    const { descriptors } = gauge({ current: { open: 740, limit: 1_000 } })
    let dials = 0
    while (descriptors.admitsDial()) dials += 1
    assert.equal(dials, 10)
    assert.equal(descriptors.admitsWork(), false)
    let connections = 0
    while (descriptors.admitsConnection()) connections += 1
    assert.equal(connections, 125)
  })

  test('F51: at least 48 and at most 512 are kept back', () => {
    assert.equal(gauge({ current: { open: 51, limit: 100 } }).descriptors.admitsWork(), true)
    assert.equal(gauge({ current: { open: 52, limit: 100 } }).descriptors.admitsWork(), false)
    assert.equal(gauge({ current: { open: 999_487, limit: 1_000_000 } }).descriptors.admitsWork(), true)
    assert.equal(gauge({ current: { open: 999_488, limit: 1_000_000 } }).descriptors.admitsWork(), false)
  })

  test('F51: they are counted once a second, and ten times while there is no room; closed ones come back', () => {
    const use: { current: DescriptorUse | null } = { current: { open: 0, limit: 200 } }
    const { clock, descriptors } = gauge(use)
    for (let n = 0; n < 150; n += 1) descriptors.admitsDial()
    assert.equal(clock.reads, 1)
    clock.ms = 99
    assert.equal(descriptors.admitsDial(), false)
    assert.equal(clock.reads, 1)
    clock.ms = 100
    assert.equal(descriptors.admitsDial(), true, 'all were closed meanwhile')
    assert.equal(clock.reads, 2)
    use.current = { open: 160, limit: 200 }
    clock.ms = 1_099
    assert.equal(descriptors.admitsWork(), true)
    clock.ms = 1_100
    assert.equal(descriptors.admitsWork(), false, 'others took them')
    use.current = { open: 160, limit: 1_000 }
    clock.ms = 1_200
    assert.equal(descriptors.admitsWork(), true, 'the limit was raised')
  })

  test('F51: where they cannot be counted nothing is refused', () => {
    const { descriptors } = gauge({ current: null })
    for (let n = 0; n < 10_000; n += 1) assert.ok(descriptors.admitsConnection() && descriptors.admitsDial())
  })

  test('F51: this process has some open, and a limit', () => {
    assert.ok(new Descriptors().admitsWork())
  })
})
