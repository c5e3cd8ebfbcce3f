import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import { holdsPorts, PortPool, type PortWish, QUARANTINE_MS } from '../../src/services/actions/ports.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { FACTS, lease, NOW, rowIn, through, wished } from '../support/service-row.ts'

const any: PortWish = { port: null, hostPort: null, name: null }
const fixed = (hostPort: number): PortWish => ({ port: 80, hostPort, name: null })

function poolOf(size: number, first = 20_000) {
  const clock = { now: Date.parse(NOW) }
  const pool = new PortPool({ first, last: first + size - 1 }, () => clock.now)
  return { pool, clock, take: (id: string) => pool.lease(id, [any])[0]?.hostPort ?? assert.fail() }
}

const taken = (error: unknown) => isHiveError(error, 'HIVE_PORT_TAKEN')
const usedUp = (error: unknown) => isHiveError(error, 'HIVE_CAPACITY')

function leasing(row: ServiceRow, ...ports: readonly number[]): ServiceRow {
  return { ...row, leases: ports.map((port) => lease(port)) }
}

describe('the port pool', () => {
  it('200 services get 200 different ports of the range, each where it is reached and as it is called', () => {
    const { take } = poolOf(200)
    const ports = Array.from({ length: 200 }, (_, n) => take(`service-${n}`))
    assert.equal(new Set(ports).size, 200)
    assert.ok(ports.every((port) => port >= 20_000 && port <= 20_199))
  })

  it('a range that is used up is said as HIVE_CAPACITY, with nothing half taken', () => {
    const { pool, take } = poolOf(3)
    take('a')
    assert.throws(() => pool.lease('b', [any, any, any]), usedUp)
    assert.equal(pool.lease('c', [any, any]).length, 2)
    assert.throws(() => take('d'), usedUp)
  })

  it('a released port rests for 60 s, then is chosen again', () => {
    const { pool, clock, take } = poolOf(2)
    const first = take('a')
    take('b')
    pool.release('a')
    assert.throws(() => take('c'), usedUp)
    clock.now += QUARANTINE_MS - 1
    assert.throws(() => take('c'), usedUp)
    clock.now += 1
    assert.equal(take('c'), first)
  })

  it('begins where it is told and goes round the whole range from there', () => {
    const pool = new PortPool({ first: 20_000, last: 20_003 }, () => 0, 20_002)
    const ports = ['a', 'b', 'c', 'd'].map((id) => pool.lease(id, [any])[0]?.hostPort)
    assert.deepEqual(ports, [20_002, 20_003, 20_000, 20_001])
    assert.throws(() => pool.lease('e', [any]), usedUp)
  })

  it('a freed number comes round again as late as possible', () => {
    const { pool, clock, take } = poolOf(5)
    const [one, two] = [take('a'), take('b')]
    pool.release('a')
    clock.now += QUARANTINE_MS
    assert.notEqual(take('c'), one)
    assert.deepEqual([one, two], [20_000, 20_001])
  })

  it('discarded numbers are out of use for a while, but stay with nobody', () => {
    const { pool, clock } = poolOf(2)
    const leases = pool.lease('a', [any])
    pool.discard(leases)
    assert.equal(pool.lease('a', [any])[0]?.hostPort, 20_001)
    assert.throws(() => pool.lease('b', [any]), usedUp)
    clock.now += QUARANTINE_MS
    assert.equal(pool.lease('b', [any])[0]?.hostPort, 20_000)
  })

  it('a fixed number belongs to one service, wherever it lies, and is never discarded', () => {
    const { pool } = poolOf(2)
    const leases = pool.lease('a', [fixed(9_000), any])
    assert.deepEqual(
      leases.map(({ port, hostPort, fixed: isFixed }) => [port, hostPort, isFixed]),
      [
        [80, 9_000, true],
        [20_000, 20_000, false],
      ],
    )
    pool.discard(leases)
    assert.throws(() => pool.lease('b', [any, fixed(9_000)]), taken)
    assert.equal(pool.lease('b', [any]).length, 1, 'the port beside it was given back')
    pool.release('a')
    assert.equal(pool.lease('c', [fixed(9_000)])[0]?.hostPort, 9_000, 'a fixed number does not rest')
  })

  it('a fixed number inside the range is not chosen for others while it is held', () => {
    const { pool, take } = poolOf(2)
    pool.lease('a', [fixed(20_000)])
    assert.equal(take('b'), 20_001)
    assert.throws(() => take('c'), usedUp)
  })

  it('a failed lease takes away nothing that the service had before', () => {
    const { pool } = poolOf(1)
    pool.reserve('a', [fixed(9_000)])
    assert.throws(() => pool.lease('a', [fixed(9_000), any, any]), usedUp)
    assert.throws(() => pool.reserve('b', [fixed(9_000)]), taken)
  })

  it('a reservation is all or nothing, is the same for its own service, and takes no chosen number', () => {
    const { pool, take } = poolOf(1)
    pool.reserve('a', [fixed(9_000)])
    assert.throws(() => pool.reserve('b', [fixed(9_001), fixed(9_000)]), taken)
    pool.reserve('c', [fixed(9_001), any])
    pool.reserve('a', [fixed(9_000)])
    assert.equal(pool.lease('a', [fixed(9_000)])[0]?.hostPort, 9_000)
    assert.equal(take('d'), 20_000)
  })

  it('what loaded rows hold is not given away, what they released rests for the rest of its time', () => {
    const { pool, clock, take } = poolOf(4)
    pool.adopt(leasing(rowIn('running'), 20_000), [])
    const removed = through(wished(leasing(rowIn('failed'), 20_001), { desired: 'removed' }), FACTS.removed)
    clock.now += 20_000
    pool.adopt(removed, [])
    pool.adopt(rowIn('requested'), [fixed(20_002)])
    assert.equal(take('a'), 20_003)
    assert.throws(() => take('b'), usedUp)
    clock.now += QUARANTINE_MS - 20_000
    assert.equal(take('b'), 20_001)
  })

  it('F59: a clock that was set back makes no port rest for longer than 60 s', () => {
    const { pool, clock, take } = poolOf(1)
    const removed = through(wished(leasing(rowIn('failed'), 20_000), { desired: 'removed' }), FACTS.removed)
    clock.now -= 365 * 86_400_000
    pool.adopt(removed, [])
    clock.now += QUARANTINE_MS
    assert.equal(take('a'), 20_000)
  })

  it('the range may be one port', () => {
    const { take } = poolOf(1, 65_535)
    assert.equal(take('a'), 65_535)
    assert.throws(() => take('b'), usedUp)
  })
})

it('holdsPorts: from the first launch until removal', () => {
  const held = {
    requested: true,
    preparing: true,
    starting: true,
    running: true,
    stopping: true,
    removed: false,
  } as const
  for (const [state, holds] of Object.entries(held))
    assert.equal(holdsPorts(rowIn(state as keyof typeof held)), holds, state)
  for (const state of ['stopped', 'failed', 'lost'] as const) assert.equal(holdsPorts(rowIn(state)), true, state)
  assert.equal(holdsPorts(rowIn('rejected')), false, 'it was refused before anything was launched')
})
