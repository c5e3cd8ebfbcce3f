import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import type { LaunchSpec } from '../../src/runners/driver.ts'
import { until, within } from '../support/deadline.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { outputOf, processRuns, type ScriptBench, shSpec, useScriptBench } from '../support/script-bench.ts'

test('an aborted start launches nothing, or leaves what the next start adopts', async (t) => {
  const bench = await useScriptBench(t)
  for (let round = 0; round < 10; round++) {
    const spec = shSpec('echo started >>"$HOME/starts"; exec sleep 1000')
    const abort = new AbortController()
    const starting = thrownBy(bench.driver.start(spec, abort.signal))
    const timer = setTimeout(() => abort.abort(), round * 2)
    await within(starting, 5_000, 'the aborted start')
    clearTimeout(timer)
    const { handle } = await bench.driver.start(spec, bench.signal)
    const starts = join(bench.stateDir, 'work', spec.id, 'starts')
    assert.equal(await until(() => readFile(starts, 'utf8'), 5_000, 'a start'), 'started\n', `round ${round}`)
    await bench.driver.remove(handle, { volumes: true }, bench.signal)
  }
})

test('F64: a start aborted while earlier attempts are looked at fails once, and nobody else hears of it', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('exit 1')
  const first = await bench.driver.start(spec, bench.signal)
  await within(bench.driver.wait(first.handle, bench.signal), 10_000, 'the end of the first attempt')
  const unheard: unknown[] = []
  const note = (error: unknown) => void unheard.push(error)
  process.on('unhandledRejection', note)
  t.after(() => process.off('unhandledRejection', note))
  for (let ticks = 0; ticks < 40; ticks += 2) {
    const abort = new AbortController()
    const starting = thrownBy(bench.driver.start({ ...spec, attempt: 2 + ticks }, abort.signal))
    for (let tick = 0; tick < ticks; tick++) await new Promise(setImmediate)
    abort.abort(new Error('Hive is shutting down'))
    await within(starting, 10_000, 'the aborted start')
  }
  assert.deepEqual(unheard, [])
})

test('a launcher that comes late, after its start was aborted, can do nothing to the next start', async (t) => {
  const bench = await useScriptBench(t)
  const gated = await gateOf(bench, 'sh', '[ "$2" = launch ]')
  const spec = startedSpec()
  const abort = new AbortController()
  const aborted = thrownBy(gated.driver.start(spec, abort.signal))
  const early = await gated.next()
  abort.abort()
  await within(aborted, 5_000, 'the aborted start')
  const starting = gated.driver.start(spec, bench.signal)
  const late = await gated.next()
  await gated.open(early)
  await until(() => !processRuns(early), 5_000, 'the end of the early launcher')
  await gated.open(late)
  const { handle } = await starting
  const claim = await readFile(join(bench.stateDir, 'run', spec.id, '1', 'claim'), 'utf8')
  assert.equal(Number(claim.split(' ')[0]), late)
  await assertStartedOnce(bench, spec)
  assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
})

test('a launcher at work when its start is aborted is waited for before the next start', async (t) => {
  const bench = await useScriptBench(t)
  const gated = await gateOf(bench, 'setsid', 'true')
  const spec = startedSpec()
  const abort = new AbortController()
  const aborted = thrownBy(gated.driver.start(spec, abort.signal))
  const early = await gated.next()
  abort.abort()
  await within(aborted, 5_000, 'the aborted start')
  const starting = bench.driver.start(spec, bench.signal)
  await gated.open(early)
  const { handle } = await starting
  await assertStartedOnce(bench, spec)
  assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
})

function startedSpec(): LaunchSpec {
  return scriptSpec({ command: '/bin/sh', args: ['-c', 'echo started; exec sleep 1000'] }, { port: null })
}

async function assertStartedOnce({ stateDir }: Pick<ScriptBench, 'stateDir'>, spec: LaunchSpec): Promise<void> {
  assert.equal(await until(() => outputOf(stateDir, spec, 'stdout'), 5_000, 'a start'), 'started\n')
}

type Bench = Awaited<ReturnType<typeof useScriptBench>>

/** A driver that finds a program in its PATH which waits, where `condition` (of sh) holds, until it is told to go on. */
async function gateOf(bench: Bench, program: string, condition: string) {
  const directory = join(bench.stateDir, 'gate')
  await mkdir(directory)
  const wait = `: >${directory}/waits-$$; while ! [ -e ${directory}/go-$$ ]; do sleep 0.01; done`
  const real = `PATH=\${PATH#*:} exec ${program} "$@"`
  await writeFile(join(directory, program), `#!/bin/sh\nif ${condition}; then ${wait}; fi\n${real}\n`, { mode: 0o755 })
  const { hostEnvironment } = bench.options()
  const PATH = [directory, hostEnvironment.PATH].join(delimiter)
  const seen = new Set<number>()
  const waiting = async () => {
    const names = (await readdir(directory)).filter((name) => name.startsWith('waits-'))
    return names.map((name) => Number(name.slice('waits-'.length))).find((pid) => !seen.has(pid))
  }
  return {
    driver: bench.newDriver({ hostEnvironment: { ...hostEnvironment, PATH } }),
    /** The number of the next process that has come to the gate. */
    async next(): Promise<number> {
      const pid = await until(waiting, 5_000, 'a process at the gate')
      seen.add(pid)
      return pid
    },
    open: (pid: number) => writeFile(join(directory, `go-${pid}`), ''),
  }
}

async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  )
}
