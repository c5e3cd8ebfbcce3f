import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RestartPolicy } from '../../src/kinds/kind.ts'
import { type RunnerDriver, RunnerUnreachable } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { NEVER } from '../support/launch-spec.ts'
import { scriptKind } from '../support/service-row.ts'
import { openSupervisor } from '../support/supervisor.ts'

const MANY = 20
const QUICK: RestartPolicy = { ...NEVER, policy: 'on-failure', backoffMinMs: 20, backoffMaxMs: 40 }
const CHECK = { type: 'cmd', path: '/', port: null, command: ['true'], startPeriodMs: 0 } as const

/** Many cocoons that are probed by a command in them, on a runner that can go away with all of them. */
async function openMany(t: Parameters<typeof openSupervisor>[0]) {
  const runner = new FakeRunner()
  const state = { away: false, fails: false }
  const exec = async () => {
    if (state.away) throw new RunnerUnreachable('The fake engine is down')
    return { code: state.fails ? 1 : 0 }
  }
  const driver: RunnerDriver = Object.assign(runner.driver(), { exec })
  const kinds = [
    scriptKind('native', {
      restart: QUICK,
      healthChecks: [{ ...CHECK, intervalMs: 10, timeoutMs: 1_000, retries: 3 }],
    }),
  ]
  const bench = await openSupervisor(t, { runner, drivers: [driver], kinds })
  const spawned = await Promise.all(Array.from({ length: MANY }, () => bench.spawn()))
  const rows = await Promise.all(spawned.map((row) => bench.in(row, 'running')))
  const probesSince = (since: number) => (row: (typeof rows)[number]) =>
    bench.view.transcript.of(row.record.id).filter(({ time }) => Date.parse(time) >= since)
  const passing = (since: number) =>
    until(
      () => rows.every((row) => probesSince(since)(row).filter(({ ok }) => ok).length > 3),
      10_000,
      'passing probes of all',
    )
  await passing(Date.now())
  return { bench, runner, state, rows, probesSince, passing }
}

describe('F56: many cocoons fail their checks at once because their runner is away', () => {
  it('none is restarted or even failing, while it is away and after it came back', async (t) => {
    const { bench, runner, state, rows, probesSince, passing } = await openMany(t)
    runner.unreachable = true
    state.away = true
    const away = Date.now()
    const failed = (row: (typeof rows)[number]) => probesSince(away)(row).filter(({ ok }) => !ok).length
    await until(() => rows.every((row) => failed(row) >= 6), 10_000, 'failing probes of all')
    state.away = false
    runner.unreachable = false
    const back = Date.now()
    await passing(back)
    for (const row of rows) assert.deepEqual(seen(bench.now(row)), ['running', 1, 'passing'])
  })

  it('none is, if the runner comes back just when it is asked whether they run', async (t) => {
    const { bench, runner, state, rows, passing } = await openMany(t)
    const asked = () => new Set(runner.calls.slice(before).filter((call) => call.startsWith('inspect '))).size
    const before = runner.calls.length
    // A frozen engine: what it is asked is answered when it goes on.
    const goOn = runner.hold('inspect')
    state.fails = true // as a port does that the engine publishes
    await until(() => asked() >= MANY, 10_000, 'the question for all')
    const back = Date.now()
    state.fails = false
    goOn()
    await passing(back)
    for (const row of rows) assert.deepEqual(seen(bench.now(row)), ['running', 1, 'passing'])
  })
})

function seen({ record: { state, attempt, health } }: { record: { state: string; attempt: number; health: string } }) {
  return [state, attempt, health]
}
