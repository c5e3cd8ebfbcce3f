import assert from 'node:assert/strict'
import { HiveError } from '../../src/errors.ts'
import type { LaunchSpec, RunnerDriver } from '../../src/runners/driver.ts'
import { type ServiceRow, STATE_RANK } from '../../src/services/state/record.ts'
import type { ServiceTable } from '../../src/services/table/table.ts'
import type { FakeRunner } from './fake-driver.ts'

/** What outlives a process: the rows that were acknowledged. Checks at each write what must hold for every history. */
export class Disk {
  readonly rows = new Map<string, ServiceRow>()
  /** The next writes fail with this instead. */
  readonly failures: Error[] = []

  write(row: ServiceRow): void {
    const failure = this.failures.shift()
    if (failure) throw failure
    const { id, name, request_id, revision, attempt, state } = row.record
    const before = this.rows.get(id)?.record
    for (const other of this.rows.values()) {
      if (other.record.id === id) continue
      assert.notEqual(other.record.request_id, request_id, 'two services of one request')
      if (state !== 'removed' && other.record.state !== 'removed') assert.notEqual(other.record.name, name)
    }
    assert.equal(revision, (before?.revision ?? 0) + 1, 'a durable revision is followed by the next')
    if (before) {
      assert.notEqual(before.state, 'removed', 'I4: nothing follows a removal')
      const onwards =
        attempt === before.attempt ? STATE_RANK[state] >= STATE_RANK[before.state] : attempt > before.attempt
      assert.ok(onwards, `I4: ${before.attempt} ${before.state} → ${attempt} ${state}`)
    }
    this.rows.set(id, structuredClone(row))
  }

  table(life: Life = new Life(Number.POSITIVE_INFINITY, 'before')): ServiceTable {
    return {
      healthy: true,
      load: async () => [...this.rows.values()].map((row) => structuredClone(row)),
      write: (row) => life.live(async () => this.write(row)),
      // No service keeps documents.
      putDocument: async () => {},
      dropDocument: async () => {},
      documents: async () => new Map(),
      purge: (id) => life.live(async () => void this.rows.delete(id)),
      close: async () => {},
    }
  }
}

export function diskFull(): HiveError {
  return new HiveError('HIVE_STORE_FULL', 'the disk is full')
}

/**
 * A process that dies at its Nth step: a write or a call of a driver. `before` = the step has no effect any more,
 * `after` = it has, but nobody hears of it. Whatever a dead process still tries does nothing and never settles.
 */
export class Life {
  steps = 0
  readonly ended: Promise<void>
  #dead = false
  readonly #at: number
  readonly #when: 'before' | 'after'
  #end: () => void = () => {}

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at
    this.#when = when
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  get dead(): boolean {
    return this.#dead
  }

  async live<Result>(effect: () => Promise<Result>): Promise<Result> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#dead) return FOREVER
    const last = ++this.steps === this.#at
    if (last) this.#die()
    if (last && this.#when === 'before') return FOREVER
    const result = await effect()
    return this.#dead ? FOREVER : result
  }

  #die(): void {
    this.#dead = true
    this.#end()
  }
}

const FOREVER = new Promise<never>(() => {})

/** The runner of a process that may die. Looks at each launch whether the promises about launches are kept. */
export function mortalDriver(runner: FakeRunner, life: Life, violations: string[]): RunnerDriver {
  const driver = runner.driver()
  const secrets = secretsOf(runner)
  return {
    ...driver,
    prepare: (...given) => life.live(() => driver.prepare(...given)),
    start: (spec, signal) =>
      life.live(async () => {
        const launched = await driver.start(spec, signal)
        if (runner.running(spec.id) > 1) violations.push(`I2: two live objects of ${spec.name}`)
        checkSecret(spec, secrets, violations)
        return launched
      }),
    inspect: (...given) => life.live(() => driver.inspect(...given)),
    wait: (...given) => life.live(() => driver.wait(...given)),
    stop: (...given) => life.live(() => driver.stop(...given)),
    remove: (...given) => life.live(() => driver.remove(...given)),
    list: (...given) => life.live(() => driver.list(...given)),
    listens: (...given) => life.live(() => driver.listens(...given)),
  }
}

const SECRETS = new WeakMap<FakeRunner, Map<string, string>>()

function secretsOf(runner: FakeRunner): Map<string, string> {
  const secrets = SECRETS.get(runner) ?? new Map<string, string>()
  SECRETS.set(runner, secrets)
  return secrets
}

function checkSecret(spec: LaunchSpec, secrets: Map<string, string>, violations: string[]): void {
  const secret = spec.env['COCOON_SECRET'] ?? ''
  if ((secrets.get(spec.id) ?? secret) !== secret) violations.push(`the secret of ${spec.name} changed`)
  secrets.set(spec.id, secret)
}
