import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RunnerHandle } from '../../src/runners/driver.ts'
import { parseStat, readStat } from '../../src/runners/script/identity.ts'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { CONTAINMENTS, HTTPD, noCgroups, processRuns, shSpec, useScriptBench } from '../support/script-bench.ts'

const noCgroup = noCgroups()

/** Starts a grandchild in a session of its own that ignores TERM, writes its pid, and goes on with `then`. */
const escapee = (then: string) =>
  `(setsid sh -c 'trap "" TERM; echo $$ >escaped.new; mv escaped.new escaped; sleep 1000 & while :; do wait; done' &)
   while ! [ -e escaped ]; do sleep 0.01; done; ${then}`

for (const containment of CONTAINMENTS) {
  const skip = containment === 'cgroup' && noCgroup

  test(`F24: stop kills what double-forked into a session of its own (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const spec = shSpec(escapee('exec sleep 1000'))
    const { handle } = await bench.launch(spec)
    const escaped = await escapedPid(bench.stateDir, spec.id)
    await bench.driver.stop(handle, 100, bench.signal)
    assert.equal(processRuns(escaped), false)
  })

  test(`F24: stop kills what left the session with an empty environment, and its port is free (${containment})`, {
    skip,
  }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const port = await freePort()
    const flight = `(setsid env -i PORT=$PORT "$0" "$1" --ignore-term &) ; exec sleep 1000`
    const spec = scriptSpec({ command: 'sh', args: ['-c', flight, process.execPath, HTTPD] }, { port })
    const { handle } = await bench.launch(spec)
    const [binding] = spec.ports
    assert.ok(binding)
    await until(() => bench.driver.listens(handle, binding, bench.signal), 10_000, 'the listener')
    const answer = await (await fetch(`http://127.0.0.1:${port}/pid`)).text()
    await bench.driver.stop(handle, 100, bench.signal)
    assert.equal(processRuns(Number(answer)), false)
    const next = shSpec('exec sleep 1000', { port })
    // It is launched only if the port can be bound.
    await bench.driver.start(next, bench.signal)
  })

  test(`F24: remove kills what a worker left behind whose launcher is gone (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const spec = shSpec(escapee('exec sleep 1000'))
    const { handle, pid } = await bench.launch(spec)
    const escaped = await escapedPid(bench.stateDir, spec.id)
    await killLauncher(bench.stateDir, handle)
    process.kill(pid ?? 0, 'SIGKILL')
    await until(() => !processRuns(pid ?? 0), 5_000, 'the end of the worker')
    assert.equal(processRuns(escaped), true)
    await bench.driver.remove(handle, { volumes: true }, bench.signal)
    assert.equal(processRuns(escaped), false)
  })

  test(`F24: another attempt ends what the one before left behind (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const spec = shSpec(escapee('exec sleep 1000'))
    const { handle, pid } = await bench.launch(spec)
    const escaped = await escapedPid(bench.stateDir, spec.id)
    await killLauncher(bench.stateDir, handle)
    process.kill(pid ?? 0, 'SIGKILL')
    await until(() => !processRuns(pid ?? 0), 5_000, 'the end of the worker')
    const again = { ...spec, ...shSpec('exec sleep 1000', { id: spec.id }), attempt: 2, handle }
    await bench.driver.start(again, bench.signal)
    assert.equal(processRuns(escaped), false)
  })

  test(`F27: a worker that stopped itself is ended by stop (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const { handle, pid } = await bench.launch(shSpec('kill -STOP $$; exec sleep 1000'))
    await until(() => readStat(pid ?? 0)?.state === 'T', 5_000, 'the worker stopping itself')
    await bench.driver.stop(handle, 2_000, bench.signal)
    assert.equal(processRuns(pid ?? 0), false)
    assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'exited')
  })

  test(`F22: a recorded pid that belongs to another process is never signalled (${containment})`, {
    skip,
  }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const { handle } = await bench.launch(shSpec('exit 0'))
    await bench.driver.wait(handle, bench.signal)
    await bench.driver.remove(handle, { volumes: true }, bench.signal)
    const victim = startVictim(t)
    const reused = { ...handle, data: { ...handle.data, pid: victim.pid ?? 0 } }
    assert.deepEqual(await bench.driver.inspect(reused, bench.signal), { state: 'missing' })
    assert.equal(await within(bench.driver.wait(reused, bench.signal), 5_000, 'wait'), null)
    await bench.driver.stop(reused, 100, bench.signal)
    await bench.driver.remove(reused, { volumes: true }, bench.signal)
    assert.equal(processRuns(victim.pid ?? 0), true)
  })

  test(`describe says ${containment} and that a plain script is no boundary`, { skip }, async (t) => {
    const { driver } = await useScriptBench(t, { forceContainment: containment })
    const facts = driver.describe(shSpec('exit 0').config)
    assert.deepEqual(facts, { available: true, reason: null, isolated: false, containment })
  })
}

test('F24: a cocoon ends with its worker, even while no Hive runs (cgroup)', { skip: noCgroup }, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
  const spec = shSpec(escapee('exit 5'))
  const { handle } = await bench.launch(spec)
  assert.deepEqual(await bench.driver.wait(handle, bench.signal), { code: 5, signal: null, oom: false })
  const escaped = await escapedPid(bench.stateDir, spec.id)
  await until(() => !processRuns(escaped), 5_000, 'the end of the escaped process')
})

test('children have their grace in a stop although the worker ends first (cgroup)', { skip: noCgroup }, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
  const child = `sh -c 'trap "sleep 0.2; echo done >last-words; exit" TERM; echo >ready; while :; do sleep 0.01; done' &`
  const spec = shSpec(`${child} exec sleep 1000`)
  const { handle } = await bench.launch(spec)
  const work = join(bench.stateDir, 'work', spec.id)
  await until(() => stat(join(work, 'ready')), 5_000, 'the child')
  await bench.driver.stop(handle, 5_000, bench.signal)
  assert.equal(await readFile(join(work, 'last-words'), 'utf8'), 'done\n')
})

test('F22: with pid and start time right but another leaf nothing is signalled', { skip: noCgroup }, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
  const { handle } = await bench.launch(shSpec('exec sleep 1000'))
  const victim = startVictim(t)
  const start = readStat(victim.pid ?? 0)?.startTime ?? 0
  const wrong = {
    ...handle,
    data: { ...handle.data, pid: victim.pid ?? 0, start, attempt: 9, leaf: `${handle.data['leaf']}9` },
  }
  assert.deepEqual(await bench.driver.inspect(wrong, bench.signal), { state: 'missing' })
  await bench.driver.stop(wrong, 100, bench.signal)
  assert.equal(processRuns(victim.pid ?? 0), true)
})

test('leaves are below the given root, and gone after remove and close', { skip: noCgroup }, async (t) => {
  const bench = await useScriptBench(t, { forceContainment: 'cgroup' })
  const { handle } = await bench.launch(shSpec('exec sleep 1000'))
  const leaf = String(handle.data['leaf'])
  assert.match(leaf, new RegExp(`/hive-${bench.instanceId.slice(0, 8)}/[^/]+\\.1$`))
  assert.match(await readFile(join(leaf, 'cgroup.procs'), 'utf8'), new RegExp(`^${handle.data['pid']}$`, 'm'))
  await bench.driver.remove(handle, { volumes: true }, bench.signal)
  await bench.driver.close()
  await assert.rejects(stat(join(leaf, '..')), { code: 'ENOENT' })
})

test('where no leaf can be made, the runner says group and still works', async (t) => {
  const bench = await useScriptBench(t)
  const root = join(bench.stateDir, 'not-a-cgroup')
  await mkdir(root)
  const driver = bench.newDriver({ cgroupRoot: root })
  const spec = shSpec('exec sleep 1000')
  assert.equal(driver.describe(spec.config).containment, 'group')
  assert.match(bench.warnings.join(), /contained by process group only: no cgroup can be made/)
  const { handle } = await driver.start(spec, bench.signal)
  assert.equal(handle.data['leaf'], null)
  assert.equal((await driver.inspect(handle, bench.signal)).state, 'running')
  assert.deepEqual(await readdir(root), [])
})

test('F23: the start time of a process named like `x) R 1 1` is found', async (t) => {
  const bench = await useScriptBench(t)
  const command = join(bench.stateDir, 'x) R 1 1 (y')
  await copyFile('/bin/sleep', command)
  const { handle, pid } = await bench.launch(scriptSpec({ command, args: ['1000'] }, { port: null }))
  assert.match(await readFile(`/proc/${pid}/stat`, 'latin1'), /^\d+ \(x\) R 1 1 \(y\) [RSD] /)
  assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
  await bench.driver.stop(handle, 5_000, bench.signal)
  assert.equal(processRuns(pid ?? 0), false)
})

test('F23: parseStat starts after the last parenthesis and refuses what is no stat line', () => {
  const tail = 'S 1 77 88 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 10 11'
  assert.deepEqual(parseStat(`123 (a) Z 1 1 1) ${tail}`), {
    pid: 123,
    state: 'S',
    parent: 1,
    group: 77,
    session: 88,
    startTime: 4242,
  })
  for (const text of ['', '123', '123 (a) S 1', 'x (a) S']) assert.equal(parseStat(text), null)
})

async function escapedPid(stateDir: string, id: string): Promise<number> {
  const file = join(stateDir, 'work', id, 'escaped')
  return Number(await until(() => readFile(file, 'utf8'), 5_000, 'the escape'))
}

async function killLauncher(stateDir: string, { data }: RunnerHandle): Promise<void> {
  const claim = join(stateDir, 'run', String(data['id']), String(data['attempt']), 'claim')
  const pid = Number((await readFile(claim, 'utf8')).split(' ')[0])
  process.kill(pid, 'SIGKILL')
  await until(() => !processRuns(pid), 5_000, 'the end of the launcher')
}

function startVictim(t: TestContext): ChildProcess {
  const victim = spawn('sleep', ['1000'], { stdio: 'ignore' })
  t.after(async () => {
    const ended = once(victim, 'exit')
    victim.kill('SIGKILL')
    await ended
  })
  return victim
}
