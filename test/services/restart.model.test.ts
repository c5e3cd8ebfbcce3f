import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { RestartPolicy } from '../../src/kinds/kind.ts'
import type { Fact } from '../../src/services/state/fact.ts'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { backoffMs, HEALTHY_MS } from '../../src/services/state/restart.ts'
import { type IntentRequest, intend, nextAction, observe } from '../../src/services/state/step.ts'
import { NEVER } from '../support/launch-spec.ts'
import { FACTS, NOW, requestedRow, scriptKind } from '../support/service-row.ts'

const POLICY: RestartPolicy = { ...NEVER, policy: 'on-failure' }
const START = Date.parse(NOW)

/** A service on a clock that only the test moves, run by what `nextAction` says; nothing else touches the row. */
class Model {
  row: ServiceRow
  now = START

  constructor(restart: Partial<RestartPolicy> = {}) {
    this.row = requestedRow({ kind: scriptKind('native', { restart: { ...POLICY, ...restart } }) })
  }

  get record() {
    return this.row.record
  }

  fact(fact: Fact): void {
    const step = observe(this.row, this.record.attempt, fact, this.time())
    // As the table does it: only what can be stored survives.
    if (step.outcome === 'changed') this.row = structuredClone(step.row)
  }

  ask(request: IntentRequest): string {
    const step = intend(this.row, request)
    if (step.outcome === 'changed') this.row = structuredClone(step.row)
    return step.outcome
  }

  /** Does what is due until the cocoon runs or nothing is left to do; waits the back-offs out. @returns the waits. */
  run(): number[] {
    const waits: number[] = []
    for (;;) {
      const action = nextAction(this.row)
      if (action === 'watch' || action === 'none') return waits
      if (action === 'await_restart') {
        const at = Date.parse(this.record.next_attempt_at ?? '')
        waits.push(at - this.now)
        this.now = at
        this.ask({ desired: 'running', again: true, by: 'restart', reason: null })
      } else this.#do(action)
    }
  }

  crash(uncharged = false): void {
    this.fact({ type: 'exited', exit: { code: 1, signal: null, oom: false }, endedAt: null, uncharged })
  }

  #do(action: ReturnType<typeof nextAction>): void {
    if (action === 'prepare') {
      this.fact(FACTS.preparing)
      this.fact(FACTS.starting)
    } else if (action === 'launch') this.fact({ ...FACTS.launched, startedAt: this.time() })
    else if (action === 'await_ready') this.fact(FACTS.ready)
    else if (action === 'next_attempt') this.fact(FACTS.next_attempt)
    else if (action === 'begin_stop') this.fact(FACTS.stopping)
    else if (action === 'stop') this.fact(FACTS.stopped)
    else this.fact(FACTS.removed)
  }

  private time(): string {
    return new Date(this.now).toISOString()
  }
}

function loop(model: Model, crashes: number): number[] {
  const waits = model.run()
  for (let n = 0; n < crashes; n++) {
    model.now += 10
    model.crash()
    waits.push(...model.run())
  }
  return waits
}

describe('restart: a model on a fake clock', () => {
  for (const days of [1, -1, 3650, -3650])
    it(`F59: a clock set by ${days} days makes no storm, and no crash loop of what was long before`, () => {
      const model = new Model()
      loop(model, 3)
      model.now += days * 86_400_000
      const [firstWait = 0] = loop(model, 1).filter((wait) => wait > 0)
      assert.ok(firstWait >= 1_000 && firstWait <= 75_000, `waits ${firstWait} ms`)
      assert.ok(loop(model, 3).every((wait) => wait >= 1_000))
      assert.deepEqual([model.record.state, model.row.restart.charged.length], ['running', 4])
    })

  it('F57: a crash loop backs off from 1 s, doubling, by at most a quarter more, and ends after 5 in 10 min', () => {
    const model = new Model()
    const waits = loop(model, 6)
    assert.equal(waits.length, 5)
    waits.forEach((wait, n) => {
      assert.ok(wait >= 1_000 * 2 ** n && wait <= 1_250 * 2 ** n, `wait ${n} was ${wait}`)
    })
    assert.equal(model.record.state, 'failed')
    assert.equal(model.record.exit?.reason, 'crash_loop')
    assert.match(model.record.error?.detail ?? '', /restarted 5 times in 10 min/)
    assert.deepEqual([model.record.next_attempt_at, nextAction(model.row)], [null, 'none'])
  })

  it('F57: the back-off never exceeds 60 s and a quarter, however often, and is the same for the same attempt', () => {
    for (let waits = 0; waits < 100; waits++) {
      const wait = backoffMs(POLICY, waits, `id ${waits}`)
      assert.ok(wait >= 1_000 && wait <= 75_000)
      assert.equal(wait, backoffMs(POLICY, waits, `id ${waits}`))
    }
    const many = new Set(Array.from({ length: 50 }, (_, n) => backoffMs(POLICY, 0, `id ${n}`)))
    assert.ok(many.size > 40, 'the jitter spreads services that fail together (F56)')
  })

  it('F57: ten healthy minutes are forgiveness: the next back-off is the first one again', () => {
    const model = new Model()
    loop(model, 4)
    model.now += HEALTHY_MS
    model.crash()
    const [wait = 0] = model.run()
    assert.ok(wait <= 1_250, `it waited ${wait}`)
    assert.equal(model.row.restart.charged.length, 1)
    const less = new Model()
    loop(less, 4)
    less.now += HEALTHY_MS - 1
    less.crash()
    assert.ok((less.run()[0] ?? 0) > 1_250)
  })

  it('F57: a start by hand gives the whole budget back', () => {
    const model = new Model()
    loop(model, 6)
    assert.equal(model.ask({ desired: 'running', by: 'api' }), 'changed')
    assert.equal(loop(model, 5).length, 5)
    assert.equal(model.record.state, 'running')
  })

  it('F57: what the runner’s own trouble ended is restarted and costs nothing', () => {
    const model = new Model()
    model.run()
    for (let n = 0; n < 20; n++) {
      model.crash(true)
      assert.equal(model.run().length, 1)
    }
    assert.deepEqual([model.record.state, model.row.restart.charged.length], ['running', 0])
  })

  for (const [policy, code, restarted] of [
    ['never', 0, false],
    ['never', 1, false],
    ['on-failure', 0, false],
    ['on-failure', 1, true],
    ['always', 0, true],
    ['always', 1, true],
  ] as const) {
    it(`F58: policy ${policy} and exit ${code}: ${restarted ? 'restarted' : 'left'}`, () => {
      const model = new Model({ policy })
      model.run()
      model.fact({ type: 'exited', exit: { code, signal: null, oom: false }, endedAt: null })
      assert.equal(nextAction(model.row), restarted ? 'await_restart' : 'none')
      assert.equal(model.record.next_attempt_at !== null, restarted)
    })
  }

  it('F58: what failed its checks, never got ready or was lost is restarted, what was refused is not', () => {
    for (const end of [FACTS.unhealthy, FACTS.gone]) {
      const model = new Model()
      model.run()
      model.fact(end)
      assert.equal(nextAction(model.row), 'await_restart', end.type)
    }
    const model = new Model({ policy: 'always' })
    for (const fact of [FACTS.preparing, FACTS.refused]) model.fact(fact)
    assert.deepEqual([model.record.state, nextAction(model.row)], ['rejected', 'none'])
  })

  it('F58: a restart that was due is not asked for over a user’s stop or removal', () => {
    for (const [desired, then] of [
      ['stopped', 'none'],
      ['removed', 'remove'],
    ] as const) {
      const model = new Model()
      model.run()
      model.crash()
      model.ask({ desired, by: 'api' })
      assert.equal(model.ask({ desired: 'running', again: true, by: 'restart' }), 'refused')
      assert.deepEqual([nextAction(model.row), model.record.next_attempt_at], [then, null])
    }
  })

  it('F57, F58: whatever happens, a stop sticks, the budget holds, and a removed service never comes back', () => {
    const event = fc.constantFrom('crash', 'exit', 'lost', 'run', 'stop', 'start', 'remove', 'late restart', 'minute')
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.constantFrom('never', 'on-failure', 'always'),
        (events, policy) => {
          const model = new Model({ policy })
          let wanted = 'running'
          let launches = 0
          for (const one of events) {
            const before = model.record.attempt
            if (one === 'crash') model.crash()
            else if (one === 'exit')
              model.fact({ type: 'exited', exit: { code: 0, signal: null, oom: false }, endedAt: null })
            else if (one === 'lost') model.fact(FACTS.gone)
            else if (one === 'minute') model.now += 60_000
            else if (one === 'late restart') model.ask({ desired: 'running', again: true, by: 'restart' })
            else if (one === 'run') model.run()
            else {
              if (wanted !== 'removed') wanted = { stop: 'stopped', start: 'running', remove: 'removed' }[one]
              model.ask({ desired: wanted as 'stopped', by: 'api' })
              launches = 0
            }
            if (one === 'run') launches += model.record.attempt - before
            assert.equal(model.record.desired, wanted)
            assert.ok(model.row.restart.charged.length <= POLICY.maxAttempts)
            if (wanted !== 'running') assert.equal(model.record.next_attempt_at, null)
            if (policy === 'never' && one === 'run') assert.ok(launches <= 1, 'never restarts nothing')
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })
})
