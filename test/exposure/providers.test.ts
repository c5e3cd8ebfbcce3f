import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { addressOf, exposedName, findProvider, sameProof, type Wish } from '../../src/exposure/providers.ts'
import { Secret } from '../../src/secret.ts'
import { SERVICE_STATES, type ServiceRow } from '../../src/services/state/record.ts'
import { rowIn, scriptKind, through, wished } from '../support/service-row.ts'

const kind = (name: string, secret: string | null = null) =>
  scriptKind('db', { expose: { name, secret: secret === null ? null : new Secret(secret), vars: { A: 'planted' } } })

const wish = (overrides: Partial<Wish> = {}): Wish => ({ name: 'db', proof: null, current: null, ...overrides })

describe('the provider of a name', () => {
  it('only one that runs, is healthy and has an address will do', () => {
    for (const state of SERVICE_STATES) {
      const found = findProvider(wish(), [rowIn(state, { kind: kind('db') })])
      assert.equal(found.type, state === 'running' ? 'found' : 'waits', state)
    }
    const running = rowIn('running', { kind: kind('db') })
    const failing = through(running, { type: 'health', health: 'failing' })
    assert.equal(findProvider(wish(), [failing]).type, 'waits')
    assert.equal(findProvider(wish(), [{ ...running, endpoint: null }]).type, 'waits')
    assert.equal(addressOf(wished(running, { desired: 'stopped' })), null)
    assert.equal(addressOf(wished(running, { desired: 'running', again: true })), null)
  })

  it('one that exposes another name or none, is removed, or was re-made without its secrets is none', () => {
    const rows = [rowIn('running', { kind: kind('other') }), rowIn('running'), rowIn('removed', { kind: kind('db') })]
    assert.deepEqual(findProvider(wish(), rows), {
      type: 'waits',
      why: 'it waits for "db": no cocoon exposes that',
      asleep: [],
    })
    assert.equal(exposedName({ ...rowIn('running', { kind: kind('db') }), sealed: null }), null)
  })

  it('a row keeps neither secret nor value, only a proof, and another one for the same secret of another name', () => {
    const [one, same, other] = [kind('db', 'planted'), kind('db', 'planted'), kind('else', 'planted')].map((each) =>
      rowIn('running', { kind: each }),
    )
    assert.ok(!JSON.stringify({ ...one, sealed: null }).includes('planted'))
    assert.equal(one?.proofs?.expose, same?.proofs?.expose)
    assert.notEqual(one?.proofs?.expose, other?.proofs?.expose)
  })

  it('a secret on one side only, or another one, is refused; beside one that fits it does not matter', () => {
    const open = rowIn('running', { kind: kind('db') })
    const closed = rowIn('running', { kind: kind('db', 'x') })
    const proof = closed.proofs?.expose ?? null
    assert.equal(findProvider(wish(), [closed]).type, 'refused')
    assert.equal(findProvider(wish({ proof }), [open]).type, 'refused')
    assert.equal(findProvider(wish({ proof: `${proof}0` }), [closed]).type, 'refused')
    for (const rows of [
      [open, closed],
      [closed, open],
    ]) {
      assert.equal(idOf(findProvider(wish({ proof }), rows)), closed.record.id)
      assert.equal(idOf(findProvider(wish(), rows)), open.record.id)
    }
    const ended = rowIn('stopped', { kind: kind('db', 'x') })
    assert.equal(findProvider(wish(), [ended]).type, 'waits', 'what is over refuses nobody')
  })

  it('property: it is the present one if that can be used, else the oldest that can, in whatever order rows come', () => {
    const states = fc.constantFrom('running', 'running', 'starting', 'failed', 'stopped', 'removed') as fc.Arbitrary<
      'running' | 'starting' | 'failed' | 'stopped' | 'removed'
    >
    const population = fc.array(fc.record({ state: states, second: fc.nat(3) }), { maxLength: 6 })
    fc.assert(
      fc.property(population, fc.nat(6), fc.infiniteStream(fc.nat(100)), (members, chosen, random) => {
        const rows = members.map(({ state, second }, index) =>
          rowIn(state, { id: `id-${index}`, kind: kind('db'), now: `2026-01-02T03:04:0${second}.000Z` }),
        )
        const current = `id-${chosen}`
        const usable = rows.filter(({ record }) => record.state === 'running')
        const oldest = [...usable].sort((left, right) => (key(left) < key(right) ? -1 : 1))[0]
        const expected = usable.find(({ record }) => record.id === current) ?? oldest
        const shuffled = rows
          .map((row) => ({ row, at: random.next().value ?? 0 }))
          .sort((left, right) => left.at - right.at)
          .map(({ row }) => row)
        assert.equal(idOf(findProvider(wish({ current }), shuffled)), expected?.record.id ?? null)
      }),
    )
  })

  it('proofs are equal only if they are the same text', () => {
    const proof = fc.option(fc.string())
    fc.assert(fc.property(proof, proof, (left, right) => assert.equal(sameProof(left, right), left === right)))
  })
})

function idOf(found: ReturnType<typeof findProvider>): string | null {
  return found.type === 'found' ? found.provider.record.id : null
}

function key({ record }: ServiceRow): string {
  return `${record.created_at} ${record.id}`
}
