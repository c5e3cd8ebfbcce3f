import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Resources } from '../../src/kinds/kind.ts'
import type { RunnerHandle } from '../../src/runners/driver.ts'
import { readMarker } from '../../src/runners/script/run-directory.ts'
import { until, within } from '../support/deadline.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { CONTAINMENTS, noCgroups, noLimits, processRuns, shSpec, useScriptBench } from '../support/script-bench.ts'

const noCgroup = noCgroups()
const MEGABYTES = 1024 * 1024
const NONE: Resources = { memoryBytes: null, cpus: null, pids: null, nofile: null, nproc: null }
/** Doubles a string until it is far above the limit of these tests; bounded, should the limit not hold. */
const HOG = 'x=0123456789abcdef; n=0; while [ $n -lt 23 ]; do x=$x$x; n=$((n + 1)); done; exit 7'
const NO_CONTROLLERS = { v1: {}, v2: [] }

for (const containment of CONTAINMENTS) {
  const skip = noLimits() || (containment === 'cgroup' && noCgroup)

  test(`F26: a memory hog is killed for its own limit and said to be so (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const neighbour = await bench.launch(shSpec('exec sleep 1000'))
    const { handle } = await bench.launch(limited(`sh -c '${HOG}'; exit $?`, { memoryBytes: 32 * MEGABYTES }))
    const exit = await within(bench.driver.wait(handle, bench.signal), 20_000, 'the end of the hog')
    assert.deepEqual(exit, { code: 137, signal: 'SIGKILL', oom: true })
    assert.equal((await bench.driver.inspect(neighbour.handle, bench.signal)).state, 'running')
    // A Hive that comes later knows it as well.
    const later = bench.newDriver()
    const status = await later.inspect(handle, bench.signal)
    assert.equal(status.state === 'exited' && status.exit.oom, true)
  })

  test(`F25: a fork bomb stays below its limit and ends with stop (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const spec = limited('bomb() { bomb & bomb & wait; }; bomb 2>/dev/null & exec sleep 1000', {
      pids: 24,
      memoryBytes: 64 * MEGABYTES,
    })
    const { handle } = await bench.launch(spec)
    const [leaf] = leavesOf(bench.stateDir, handle).filter((path) => path.includes('/pids/'))
    assert.ok(leaf)
    const refused = async () => Number(/^max (\d+)$/m.exec(await readFile(join(leaf, 'pids.events'), 'utf8'))?.[1]) > 0
    await until(refused, 10_000, 'forks beyond the limit')
    assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
    const pids = (await readFile(join(leaf, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean).map(Number)
    assert.ok(pids.length <= 24)
    await bench.driver.stop(handle, 0, bench.signal)
    assert.deepEqual(pids.filter(processRuns), [])
    assert.equal(existsSync(leaf), false)
  })

  test(`resources: a worker is in a leaf with each limit, and none is left after it (${containment})`, {
    skip,
  }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const wanted = { memoryBytes: 64 * MEGABYTES, cpus: 0.5, pids: 20, nofile: 100 }
    const { handle, pid } = await bench.launch(limited('exec sleep 1000', wanted))
    const leaves = leavesOf(bench.stateDir, handle)
    const read = async (name: string) => {
      const leaf = leaves.find((path) => existsSync(join(path, name)))
      return (await readFile(join(leaf ?? '', name), 'utf8')).trim()
    }
    assert.equal(await read('memory.limit_in_bytes'), String(64 * MEGABYTES))
    assert.equal(await read('cpu.cfs_quota_us'), '50000')
    assert.equal(await read('pids.max'), '20')
    for (const leaf of leaves)
      assert.match(await readFile(join(leaf, 'cgroup.procs'), 'utf8'), new RegExp(`^${pid}$`, 'm'))
    assert.match(await readFile(`/proc/${pid}/limits`, 'utf8'), /^Max open files +100 +100 /m)
    await bench.driver.remove(handle, { volumes: true }, bench.signal)
    await bench.driver.close()
    for (const leaf of leaves) assert.equal(existsSync(join(leaf, '..')), false, leaf)
  })

  test(`resources: leaves of a Hive that died are removed by the next one (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const { handle } = await bench.launch(limited('exit 3', { memoryBytes: 64 * MEGABYTES, pids: 20 }))
    const leaves = leavesOf(bench.stateDir, handle)
    assert.deepEqual(await bench.driver.wait(handle, bench.signal), { code: 3, signal: null, oom: false })
    const next = bench.newDriver()
    const [object] = await next.list(bench.signal)
    assert.ok(object)
    await next.remove(object.handle, { volumes: true }, bench.signal)
    assert.ok(leaves.length > 0)
    for (const leaf of leaves) assert.equal(existsSync(leaf), false, leaf)
  })
}

test('F24: without a v2 leaf the leaves of limits give away what hides from the process group', {
  skip: noLimits(),
}, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'group' })
  const flight = `(setsid env -i sh -c 'trap "" TERM; echo $$ >escaped.new; mv escaped.new escaped; while :; do sleep 0.1; done' >/dev/null 2>&1 &)`
  const spec = limited(`${flight}; exec sleep 1000`, { pids: 20 })
  const { handle } = await bench.launch(spec)
  const file = join(bench.stateDir, 'work', spec.id, 'escaped')
  const escaped = Number(await until(() => readFile(file, 'utf8'), 5_000, 'the escape'))
  await bench.driver.stop(handle, 100, bench.signal)
  assert.equal(processRuns(escaped), false)
})

test('F26: a Hive that starts later reports the OOM kill of a child that its worker died of while none ran', {
  skip: noLimits(),
}, async (t) => {
  const bench = await useScriptBench(t)
  const spec = limited(`while ! [ -e go ]; do sleep 0.01; done; sh -c '${HOG}'; exit 9`, {
    memoryBytes: 32 * MEGABYTES,
  })
  await bench.launch(spec)
  await bench.driver.close()
  await writeFile(join(bench.stateDir, 'work', spec.id, 'go'), '')
  const later = bench.newDriver()
  const [object] = await later.list(bench.signal)
  assert.ok(object)
  const exit = await within(later.wait(object.handle, bench.signal), 20_000, 'the end of the hog')
  assert.deepEqual(exit, { code: 9, signal: null, oom: true })
})

test('without controllers rlimits act, and GET /kinds says so', async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'group', controllers: NO_CONTROLLERS })
  const spec = limited(HOG, { memoryBytes: 32 * MEGABYTES, nofile: 64 })
  const facts = bench.driver.describe(spec.config)
  assert.equal(facts.available, true)
  assert.match(facts.reason ?? '', /^resources.memory: by rlimit only/)
  const { handle } = await bench.launch(spec)
  const exit = await within(bench.driver.wait(handle, bench.signal), 20_000, 'the end of the hog')
  assert.notEqual(exit?.code, 7)
  assert.equal(exit?.oom, false)
})

test('a limit that nothing can enforce makes the kind unavailable with its mend', async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'group', controllers: NO_CONTROLLERS })
  const facts = bench.driver.describe(limited('exit 0', { cpus: 1 }).config)
  assert.equal(facts.available, false)
  assert.match(facts.reason ?? '', /^resources.cpus cannot act here: give Hive a cgroup/)
})

test('a limit above the hard limit of Hive is refused and nothing is left', async (t) => {
  const bench = await useScriptBench(t)
  const spec = limited('exit 0', { nofile: 1_048_576 })
  const hard = /^Max open files +\S+ +(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
  if (Number(hard) >= 1_048_576) return t.skip('the hard limit of this shell is as high as can be asked for')
  await assert.rejects(bench.driver.start(spec, bench.signal), { name: 'LaunchRefused', message: /through prlimit: / })
  const left = await readdir(join(bench.stateDir, 'run'))
  assert.deepEqual(
    left.filter((name) => !name.startsWith('.')),
    [],
  )
})

function limited(text: string, resources: Partial<Resources>) {
  const spec = shSpec(text)
  return scriptSpec({ ...spec.config, command: 'sh', resources: { ...NONE, ...resources } } as never, { port: null })
}

function leavesOf(stateDir: string, { data }: RunnerHandle): readonly string[] {
  return readMarker(join(stateDir, 'run', String(data['id']), String(data['attempt'])))?.limits ?? []
}
