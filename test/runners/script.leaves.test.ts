import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openCgroupParent } from '../../src/runners/script/cgroup.ts'
import { noCgroups, shSpec, useScriptBench } from '../support/script-bench.ts'

const ROUNDS = 120
/** Launches on this kind of machine are through after this long. */
const LAUNCH_MS = 30

test('I8: a start aborted at any moment, and its removal, leave no cgroup', { skip: noCgroups() }, async (t) => {
  const bench = await useScriptBench(t)
  const place = placeOf(bench.instanceId)
  for (let round = 0; round < ROUNDS; round++) {
    const spec = shSpec('exec sleep 1000')
    const abort = new AbortController()
    const starting = bench.driver.start(spec, abort.signal).catch(() => null)
    await delay((round * LAUNCH_MS) / ROUNDS)
    abort.abort(new Error('it is not wanted any more'))
    await starting
    for (const { handle } of await bench.driver.list(bench.signal))
      await bench.driver.remove(handle, { volumes: true }, bench.signal)
    assert.deepEqual(leavesIn(place), [], `round ${round}`)
  }
})

test('I8: leaves that a killed Hive left are swept, those of attempts are not', { skip: noCgroups() }, async (t) => {
  const bench = await useScriptBench(t)
  const place = placeOf(bench.instanceId)
  const spec = shSpec('exec sleep 1000')
  const { handle } = await bench.launch(spec)
  await mkdir(join(place, '00000000-0000-4000-8000-000000000000.3'))
  await bench.driver.probe(bench.signal)
  assert.deepEqual(leavesIn(place), [`${spec.id}.1`])
  assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
})

function placeOf(instanceId: string): string {
  const parent = openCgroupParent(instanceId, null)
  assert.ok('path' in parent)
  return parent.path
}

function leavesIn(place: string): readonly string[] {
  if (!existsSync(place)) return []
  const entries = readdirSync(place, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}
