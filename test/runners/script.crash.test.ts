import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Launched, LaunchSpec } from '../../src/runners/driver.ts'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { HTTPD, processRuns, type ScriptBench, shSpec, useScriptBench } from '../support/script-bench.ts'

const HOLDER = join(import.meta.dirname, '..', 'support', 'fixtures', 'driver-holder.ts')
const COUNT = 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.02; done'

test('F20: a cocoon outlives the SIGKILL of its Hive, serves on, and is adopted, not doubled', async (t) => {
  const bench = await useScriptBench(t)
  const port = await freePort()
  const spec = scriptSpec({ command: process.execPath, args: [HTTPD] }, { port })
  const { launched } = await launchAndKillHive(t, bench, spec)
  const status = await bench.driver.inspect(launched.handle, bench.signal)
  assert.equal(status.state, 'running')
  await until(() => bench.driver.listens(launched.handle, spec.ports[0]!, bench.signal), 10_000, 'listens')
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/pid`)).text(), String(launched.pid))
  const again = await bench.driver.start(spec, bench.signal)
  assert.deepEqual([again.adopted, again.pid, again.handle], [true, launched.pid, launched.handle])
  await bench.driver.stop(again.handle, 5_000, bench.signal)
  assert.deepEqual(await bench.driver.wait(again.handle, bench.signal), { code: 143, signal: 'SIGTERM', oom: false })
})

test('F20: the output of a cocoon goes on while no Hive runs', async (t) => {
  const bench = await useScriptBench(t)
  const { launched, spec } = await launchAndKillHive(t, bench, shSpec(COUNT))
  const file = join(bench.stateDir, 'run', spec.id, '1', 'output', 'stdout.log')
  const before = (await readFile(file, 'utf8')).length
  const text = await until(
    async () => {
      const now = await readFile(file, 'utf8')
      return now.length > before + 50 ? now : null
    },
    10_000,
    'more output',
  )
  const lines = text.split('\n').slice(0, -1)
  assert.deepEqual(
    lines,
    lines.map((_, index) => `line ${index + 1}`),
  )
  assert.equal(processRuns(launched.pid ?? 0), true)
})

test('F21: the exit code of a cocoon that ended while no Hive ran is known', async (t) => {
  const bench = await useScriptBench(t)
  const { launched } = await launchAndKillHive(t, bench, shSpec('trap "exit 42" USR1; while :; do sleep 0.02; done'))
  await delay(50)
  process.kill(launched.pid ?? 0, 'SIGUSR1')
  await until(() => !processRuns(launched.pid ?? 0), 5_000, 'the end')
  const exit = await within(bench.driver.wait(launched.handle, bench.signal), 5_000, 'wait')
  assert.deepEqual(exit, { code: 42, signal: null, oom: false })
})

test('F2: a Hive killed at any moment of a start leaves at most one worker, and the next start makes it exactly one', async (t) => {
  const bench = await useScriptBench(t)
  for (let round = 0; round < 12; round++) {
    const spec = shSpec('echo started >>"$HOME/starts"; exec sleep 1000')
    const holder = hold(t, bench, spec)
    await lines(holder).next()
    await delay(round * 4)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const launched = await within(bench.driver.start(spec, bench.signal), 10_000, 'start')
    const starts = join(bench.stateDir, 'work', spec.id, 'starts')
    await until(() => readFile(starts, 'utf8'), 5_000, 'a start')
    assert.equal(await readFile(starts, 'utf8'), 'started\n', `round ${round}`)
    assert.equal((await bench.driver.inspect(launched.handle, bench.signal)).state, 'running')
    assert.equal((await bench.driver.list(bench.signal)).filter(({ id }) => id === spec.id).length, 1)
    await bench.driver.remove(launched.handle, { volumes: true }, bench.signal)
  }
})

test('a worker whose launcher was killed is still running, still stoppable, and its end is null', async (t) => {
  const bench = await useScriptBench(t)
  const { handle } = await bench.launch(shSpec('exec sleep 1000'))
  const [launcher] = (await readFile(join(runOf(bench, handle.data), 'claim'), 'utf8')).split(' ')
  const waiting = bench.newDriver().wait(handle, bench.signal)
  process.kill(Number(launcher), 'SIGKILL')
  await until(() => !processRuns(Number(launcher)), 5_000, 'the end of the launcher')
  assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
  await bench.driver.stop(handle, 5_000, bench.signal)
  assert.equal(await within(waiting, 10_000, 'wait'), null)
  assert.deepEqual(await bench.driver.inspect(handle, bench.signal), { state: 'missing' })
})

test('a worker that kills its whole process group with KILL does not take its launcher along', async (t) => {
  const bench = await useScriptBench(t)
  const { handle } = await bench.launch(shSpec('kill -9 0'))
  assert.deepEqual(await within(bench.driver.wait(handle, bench.signal), 5_000, 'wait'), {
    code: 137,
    signal: 'SIGKILL',
    oom: false,
  })
})

test('F17: after a boot nothing of the old one is running and nothing is signalled', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('exec sleep 1000')
  const { handle, pid } = await bench.launch(spec)
  const later = bench.newDriver({ bootId: 'another-boot' })
  assert.deepEqual(await later.inspect(handle, bench.signal), { state: 'missing' })
  assert.equal((await later.list(bench.signal))[0]?.running, false)
  assert.equal(await within(later.wait(handle, bench.signal), 5_000, 'wait'), null)
  await later.stop(handle, 1_000, bench.signal)
  assert.equal(processRuns(pid ?? 0), true)
  const adopted = await later.start(spec, bench.signal)
  assert.equal(adopted.adopted, true)
  await bench.driver.stop(handle, 1_000, bench.signal)
  const again = await later.start({ ...spec, attempt: 2, handle }, bench.signal)
  assert.equal((await later.inspect(again.handle, bench.signal)).state, 'running')
  await later.remove(again.handle, { volumes: true }, bench.signal)
})

async function launchAndKillHive(t: TestContext, bench: Pick<ScriptBench, 'options' | 'stateDir'>, spec: LaunchSpec) {
  const holder = hold(t, bench, spec)
  const output = lines(holder)
  await output.next()
  const { value } = await output.next()
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  return { launched: JSON.parse(String(value)) as Launched, spec }
}

function hold(t: TestContext, bench: Pick<ScriptBench, 'options' | 'stateDir'>, spec: LaunchSpec): ChildProcess {
  const holder = spawn(process.execPath, [HOLDER, JSON.stringify(bench.options()), JSON.stringify(spec)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => holder.kill('SIGKILL'))
  return holder
}

function lines(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
}

function runOf(
  bench: Pick<ScriptBench, 'options' | 'stateDir'>,
  { id, attempt }: Readonly<Record<string, string | number | null>>,
): string {
  return join(bench.stateDir, 'run', String(id), String(attempt))
}
