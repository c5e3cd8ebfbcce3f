import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  canLog,
  type OutputBatch,
  type OutputPiece,
  type RunnerDriver,
  type RunnerHandle,
} from '../../src/runners/driver.ts'
import { findTool } from '../../src/runners/script/command.ts'
import { readMarker } from '../../src/runners/script/run-directory.ts'
import { until } from '../support/deadline.ts'
import { openHive } from '../support/hive.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { linesOf, logText } from '../support/log-reader.ts'
import { CONTAINMENTS, noCgroups, noLimits, processRuns, shSpec, useScriptBench } from '../support/script-bench.ts'

/** Says one, and two when it is told to; a child of it has left the session and ignores TERM. */
const TALKER = `(setsid sh -c 'trap "" TERM; echo $$ >child.new; mv child.new child; sleep 1000 & while :; do wait; done' &)
  while ! [ -e child ]; do sleep 0.01; done
  echo one; while ! [ -e go ]; do sleep 0.01; done; echo two; exec sleep 1000`
const NONE = { memoryBytes: null, cpus: null, pids: null, nofile: null, nproc: null }
const LOST = '[hive: some output is lost here]'

for (const containment of CONTAINMENTS) {
  const skip = containment === 'cgroup' && noCgroups()

  test(`a cocoon whose run directory was removed is stopped and removed like any other (${containment})`, {
    skip,
  }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const config = { ...shSpec(TALKER).config, resources: noLimits() ? NONE : { ...NONE, pids: 100 } }
    const spec = scriptSpec(config as never, { port: null })
    const { handle, pid } = await bench.launch(spec)
    const child = Number(
      await until(() => readFile(work(bench.stateDir, spec.id, 'child'), 'utf8'), 5_000, 'the child'),
    )
    const leaves = readMarker(join(bench.stateDir, 'run', spec.id, '1'))?.limits ?? []
    await rm(join(bench.stateDir, 'run', spec.id), { recursive: true })
    const later = bench.newDriver()
    assert.equal((await later.inspect(handle, bench.signal)).state, 'running')
    await later.stop(handle, 100, bench.signal)
    assert.deepEqual([pid ?? 0, child].filter(processRuns), [])
    assert.deepEqual(leaves.filter(existsSync), [])
    assert.deepEqual(await later.inspect(handle, bench.signal), { state: 'missing' })
    await later.remove(handle, { volumes: true }, bench.signal)
    assert.deepEqual(await readdir(join(bench.stateDir, 'work')), [])
  })
}

test('the output of a cocoon whose run directory was removed is read on, by a Hive that comes later, too', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec(TALKER)
  const { handle } = await bench.launch(spec)
  await until(() => readFile(join(bench.stateDir, 'run', spec.id, '1', 'output', 'stdout.log')), 5_000, 'output')
  await rm(join(bench.stateDir, 'run'), { recursive: true })
  await writeFile(work(bench.stateDir, spec.id, 'go'), '')
  const seen: string[] = []
  for await (const piece of outputOf(bench.newDriver(), handle, { position: null, signal: bench.signal })) {
    seen.push(Buffer.from(piece.bytes).toString())
    if (seen.length === 2) break
  }
  assert.deepEqual(seen, ['one', 'two'])
  // Nothing of the directory is there to say what was launched, and still nothing is left.
  await bench.driver.remove(handle, { volumes: true }, bench.signal)
})

test('output that is gone with its run directory is said to be lost, once', async (t) => {
  const bench = await useScriptBench(t)
  const { handle } = await bench.launch(shSpec('echo one; exit 3'))
  await bench.driver.wait(handle, bench.signal)
  await rm(join(bench.stateDir, 'run'), { recursive: true })
  const [batch, more] = await batchesOf(bench.driver, handle, '1 0 0')
  assert.equal(more, undefined)
  assert.deepEqual(
    batch?.pieces.map(({ stream, lost }) => [stream, lost]),
    [
      ['stdout', 0],
      ['stderr', 0],
    ],
  )
  assert.deepEqual(await batchesOf(bench.driver, handle, batch?.position ?? null), [])
})

test('what was given back to the disk is said to be lost, not told as zeros, if the log of it is gone', {
  skip: findTool('fallocate', process.env['PATH'] ?? null) === null && 'fallocate is not installed here',
}, async (t) => {
  const bench = await useScriptBench(t)
  const { handle } = await bench.launch(shSpec('head -c 9000000 /dev/zero | tr "\\0" a; echo; echo end'))
  await bench.driver.wait(handle, bench.signal)
  const read = async () => (await batchesOf(bench.driver, handle, null)).flatMap(({ pieces }) => pieces)
  const first = (await read()).filter(({ lost }) => lost !== null)
  assert.deepEqual(first, [])
  const [hole, ...rest] = await read()
  const lengths = rest.map(({ bytes }) => bytes.length).reduce((sum, length) => sum + length, 0)
  // All but two line feeds: the end of each line.
  assert.equal((hole?.lost ?? 0) + lengths + 2, 9_000_000 + 1 + 4)
  assert.ok((hole?.lost ?? 0) >= 4_000_000)
  assert.equal(rest.at(-1)?.bytes.toString(), 'end')
})

test('a removed log or run directory loses no line that comes later, and the loss is said', async (t) => {
  const runner_config = { command: 'sh', args: ['-c', TALKER], restart: 'never' }
  const hive = await openHive(t, { kinds: [{ id: 'talker', runner_type: 'script', runner_config }] })
  const { id, pid } = await hive.spawn({ kind: 'talker', name: 'talker' })
  const lines = async () => linesOf(await logText(hive, 'talker', '')).map(({ line }) => line)
  await until(async () => (await lines()).includes('one'), 10_000, 'the first line')
  await rm(join(hive.directory, 'logs', id), { recursive: true })
  await rm(join(hive.directory, 'run', id), { recursive: true })
  await writeFile(work(hive.directory, id, 'go'), '')
  await until(async () => (await lines()).includes('two'), 10_000, 'the second line')
  assert.deepEqual(await lines(), [LOST, 'two'])
  const removed = await hive.call('DELETE', '/services/talker')
  assert.deepEqual([removed.status, removed.body.state], [200, 'removed'])
  assert.equal(processRuns(pid ?? 0), false)
})

async function* outputOf(
  driver: RunnerDriver,
  handle: RunnerHandle,
  { position, signal }: { readonly position: string | null; readonly signal: AbortSignal },
): AsyncGenerator<OutputPiece> {
  assert.ok(canLog(driver))
  for await (const { pieces } of driver.logs(handle, { position, follow: true }, signal)) yield* pieces
}

async function batchesOf(driver: RunnerDriver, handle: RunnerHandle, position: string | null): Promise<OutputBatch[]> {
  assert.ok(canLog(driver))
  const batches: OutputBatch[] = []
  for await (const batch of driver.logs(handle, { position, follow: false }, AbortSignal.timeout(10_000)))
    batches.push(batch)
  return batches
}

function work(stateDir: string, id: string, name: string): string {
  return join(stateDir, 'work', id, name)
}
