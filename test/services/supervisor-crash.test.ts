import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { type FakeBehaviour, FakeRunner } from '../support/fake-driver.ts'
import { Disk, Life, mortalDriver } from '../support/mortal.ts'
import { scriptKind } from '../support/service-row.ts'
import { openSupervisor, type SupervisorBench } from '../support/supervisor.ts'

/** A machine: what outlives the processes of Hive, and how they die one after the other. */
interface Machine {
  readonly disk: Disk
  readonly runner: FakeRunner
  readonly lives: Life[]
  readonly violations: string[]
  hive: SupervisorBench
  life: Life
}

type Operation = (hive: SupervisorBench, machine: Machine) => Promise<unknown>

const kinds = [scriptKind('native'), scriptKind('mute', { readyTimeoutMs: 40 })]

async function boot(t: TestContext, machine: Omit<Machine, 'hive' | 'life'>): Promise<Machine> {
  const { disk, runner, lives, violations } = machine
  const life = lives.shift() ?? new Life(Number.POSITIVE_INFINITY, 'before')
  const drivers = [mortalDriver(runner, life, violations)]
  const hive = await openSupervisor(t, { runner, drivers, kinds, table: disk.table(life), mortal: true })
  return Object.assign(machine, { hive, life })
}

/** Does one operation as a client does: again, until it is answered. */
async function insist(t: TestContext, machine: Machine, operation: Operation): Promise<void> {
  for (;;) {
    const { life, hive } = machine
    const done = operation(hive, machine).then(() => true)
    if (await Promise.race([done, life.ended.then(() => false)])) return
    done.catch(() => undefined) // nobody waits for a dead process
    void hive.supervisor.close()
    await boot(t, machine)
  }
}

/** Runs the operations with processes that die as told, and gives the steps the last one took. */
async function survive(t: TestContext, operations: readonly Operation[], lives: readonly Life[]): Promise<Machine> {
  const behave = (spec: { readonly kind: string }): FakeBehaviour => ({ listens: spec.kind !== 'mute' })
  const machine = await boot(t, {
    disk: new Disk(),
    runner: new FakeRunner({ behave }),
    lives: [...lives],
    violations: [],
  })
  for (const operation of operations) await insist(t, machine, operation)
  await insist(t, machine, (hive) => hive.reconcile())
  await machine.hive.close()
  return machine
}

const named = (hive: SupervisorBench, name: string): ServiceRow => hive.view.byName(name) ?? assert.fail(`no ${name}`)
const spawned =
  (name: string, kind = 'native'): Operation =>
  async (hive, { disk }) => {
    const row = await hive.spawn({ kind, name, requestId: `req-${name}` })
    assert.ok(disk.rows.has(row.record.id), 'I3: what is acknowledged is durable')
  }
const ready =
  (name: string): Operation =>
  (hive) =>
    hive.when(named(hive, name), ({ record, targetAttempt }) => record.ready && record.attempt === targetAttempt)
const launching =
  (name: string): Operation =>
  (hive) =>
    hive.when(named(hive, name), ({ mayExist }) => mayExist)
const wanted =
  (name: string, desired: 'running' | 'stopped' | 'removed', again = false): Operation =>
  async (hive, { disk }) => {
    const row = await hive.intend(named(hive, name), { desired, again })
    assert.ok(
      (disk.rows.get(row.record.id)?.record.revision ?? 0) >= row.record.revision,
      'I3: durable before answered',
    )
  }
const ended =
  (name: string, state: 'stopped' | 'failed' | 'removed'): Operation =>
  async (hive, { runner }) => {
    const { record } = await hive.when(named(hive, name), (row) => row.record.state === state)
    assert.equal(runner.running(record.id), 0, 'I3: what is said to have ended has ended')
  }

/** I1-I4 and what else must hold once everything is quiet, however often Hive died. */
async function assertInvariants(
  { disk, runner, violations }: Machine,
  states: Readonly<Record<string, string>>,
): Promise<void> {
  assert.deepEqual(violations, [])
  const rows = [...disk.rows.values()]
  assert.deepEqual(Object.fromEntries(rows.map(({ record }) => [record.name, record.state])), states)
  const objects = await runner.driver().list(AbortSignal.timeout(1_000))
  for (const { record } of rows) {
    assert.equal(runner.running(record.id), record.state === 'running' ? 1 : 0, `I1: ${record.name}`)
    if (record.state === 'removed')
      assert.equal(
        objects.some(({ id }) => id === record.id),
        false,
        'I3',
      )
  }
  const held = rows
    .filter(({ record }) => record.state !== 'removed')
    .flatMap(({ leases }) => leases.map(({ hostPort }) => hostPort))
  assert.equal(new Set(held).size, held.length, 'no port is held twice')
}

const life: readonly Operation[] = [
  spawned('web'),
  ready('web'),
  spawned('side'),
  wanted('web', 'stopped'),
  ended('web', 'stopped'),
  wanted('web', 'running'),
  ready('web'),
  wanted('web', 'running', true),
  ready('web'),
  wanted('web', 'removed'),
  ended('web', 'removed'),
  ready('side'),
]
const LIFE_STATES = { web: 'removed', side: 'running' }

/** Dies at step 1, 2, 3 and so on, until a whole run takes fewer steps than that. */
async function everyStep(t: TestContext, operations: readonly Operation[], states: Readonly<Record<string, string>>) {
  const whole = await survive(t, operations, [])
  await assertInvariants(whole, states)
  const steps = Math.min(whole.life.steps, 90)
  const deaths = Array.from(
    { length: steps * 2 },
    (_, n) => [Math.floor(n / 2) + 1, n % 2 ? 'after' : 'before'] as const,
  )
  for (let first = 0; first < deaths.length; first += 12) {
    const some = deaths.slice(first, first + 12).map(async ([at, when]) => {
      const machine = await survive(t, operations, [new Life(at, when)]).catch((error: unknown) => {
        throw new Error(`died ${when} step ${at}`, { cause: error })
      })
      await assertInvariants(machine, states)
    })
    await Promise.all(some)
  }
  return steps
}

describe('a Hive that dies', () => {
  it('F1, F2, F3, F4, F5: at any step of spawn, stop, start, restart and DELETE: I1-I4 hold', async (t) => {
    const steps = await everyStep(t, life, LIFE_STATES)
    assert.ok(steps > 40, `${steps} steps`)
  })

  it('F4, F16: at any step of a DELETE that meets a launch: nothing is left', async (t) => {
    const removed = [wanted('web', 'removed'), ended('web', 'removed')]
    await everyStep(t, [spawned('web'), ...removed], { web: 'removed' })
    await everyStep(t, [spawned('web'), launching('web'), ...removed], { web: 'removed' })
  })

  it('F5: while it gives up one that never listens: it has failed, and nothing is left running', async (t) => {
    await everyStep(t, [spawned('web', 'mute'), ended('web', 'failed')], { web: 'failed' })
  })

  it('F6: again and again: I1-I4 hold', async (t) => {
    let seed = 20_261_123
    const next = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed % below
    }
    for (let round = 0; round < 12; round++) {
      const deaths = Array.from({ length: 8 }, () => new Life(1 + next(14), next(2) ? 'after' : 'before'))
      await assertInvariants(await survive(t, life, deaths), LIFE_STATES)
    }
  })
})
