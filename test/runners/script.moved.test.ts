import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { type RunnerHandle, tellsStats } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { HTTPD, noCgroups, processRuns, shSpec, useScriptBench } from '../support/script-bench.ts'

const skip = (process.getuid?.() !== 0 && 'only root can move a process to any cgroup') || noCgroups()

const PLACES = {
  'the leaf of a neighbour': (leaf: string) => leaf,
  "Hive's own cgroup": (leaf: string) => dirname(dirname(leaf)),
}

for (const [place, where] of Object.entries(PLACES)) {
  test(`F24: a worker that moved to ${place} still runs for Hive and is gone after stop`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
    const neighbour = await bench.launch(shSpec('exec sleep 1000'))
    const port = await freePort()
    const flight = `echo $$ >"$1/cgroup.procs"; exec "$2" "$3" --ignore-term`
    const args = ['-c', flight, 'sh', where(leafOf(neighbour.handle)), process.execPath, HTTPD]
    const spec = scriptSpec({ command: 'sh', args }, { port })
    const { handle, pid } = await bench.launch(spec)
    const [binding] = spec.ports
    assert.ok(binding)
    await until(() => bench.driver.listens(handle, binding, bench.signal), 10_000, 'the listener')
    assert.deepEqual((await readFile(join(leafOf(handle), 'cgroup.procs'), 'utf8')).trim(), '')
    assert.ok(tellsStats(bench.driver))
    assert.equal((await bench.driver.stats(handle, bench.signal))?.processes, 1)
    // So does a Hive that comes later.
    const later = bench.newDriver()
    assert.equal((await later.inspect(handle, bench.signal)).state, 'running')
    assert.deepEqual(
      (await later.list(bench.signal)).map(({ running }) => running),
      [true, true],
    )
    await later.stop(handle, 100, bench.signal)
    assert.equal(processRuns(pid ?? 0), false)
    const status = await later.inspect(handle, bench.signal)
    assert.equal(status.state === 'exited' && status.exit.signal, 'SIGKILL')
    assert.equal((await later.inspect(neighbour.handle, bench.signal)).state, 'running')
    // It is launched only if the port can be bound.
    await later.start(shSpec('exec sleep 1000', { port }), bench.signal)
  })
}

/** Leaves the leaf, its session and (without `$HIVE_COCOON_MARK`, if asked) its parent, ignores TERM and says its pid. */
const child = (environment: string) =>
  `(echo 0 >"$1/cgroup.procs"; setsid ${environment} sh -c 'trap "" TERM; echo $$ >escaped.new; mv escaped.new escaped; while :; do sleep 0.1; done' &)
   while ! [ -e escaped ]; do sleep 0.01; done`

for (const [how, environment] of [
  ['its mark', ''],
  ['nothing but its output', 'env -i'],
] as const) {
  test(`F24: a child that left the leaf with ${how} is gone after stop`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
    const { handle, escaped } = await launchEscapee(bench, `${child(environment)}; exec sleep 1000`)
    await bench.driver.stop(handle, 100, bench.signal)
    assert.equal(processRuns(escaped), false)
  })
}

test('F24: what left the leaf ends with its worker', { skip }, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
  const { handle, escaped } = await launchEscapee(bench, `${child('')}; exit 5`)
  assert.deepEqual(await bench.driver.wait(handle, bench.signal), { code: 5, signal: null, oom: false })
  await until(() => !processRuns(escaped), 5_000, 'the end of the escaped process')
})

test('F24: the next attempt ends what left the leaf of the one before', { skip }, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
  const { spec, handle, escaped } = await launchEscapee(bench, `${child('')}; exit 5`)
  await until(async () => (await bench.driver.inspect(handle, bench.signal)).state === 'exited', 5_000, 'its end')
  await bench.driver.start({ ...spec, ...shSpec('exec sleep 1000', { id: spec.id }), attempt: 2 }, bench.signal)
  assert.equal(processRuns(escaped), false)
})

async function launchEscapee(bench: Awaited<ReturnType<typeof useScriptBench>>, text: string) {
  const elsewhere = await bench.launch(shSpec('exec sleep 1000'))
  const args = ['-c', text, 'sh', leafOf(elsewhere.handle)]
  const spec = scriptSpec({ command: 'sh', args }, { port: null })
  const { handle } = await bench.launch(spec)
  const file = join(bench.stateDir, 'work', spec.id, 'escaped')
  const escaped = Number(await until(() => readFile(file, 'utf8'), 5_000, 'the escape'))
  return { spec, handle, escaped }
}

function leafOf({ data }: RunnerHandle): string {
  return String(data['leaf'])
}
