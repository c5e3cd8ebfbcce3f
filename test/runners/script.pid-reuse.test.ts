import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { findTool } from '../../src/runners/script/command.ts'
import { CONTAINMENTS, noCgroups, shSpec, useScriptBench } from '../support/script-bench.ts'

const run = promisify(execFile)
const fixture = join(import.meta.dirname, '..', 'support', 'fixtures', 'pid-reuse.ts')
const unshare = findTool('unshare', process.env['PATH'] ?? null)
const impossible = (process.getuid?.() !== 0 || unshare === null) && 'needs root and unshare for a pid namespace'

/** The first process of the namespace must take up orphans, which a shell that waits does. */
const REAPER = '"$0" "$@"; exit $?'

for (const containment of CONTAINMENTS) {
  const skip = impossible || (containment === 'cgroup' && noCgroups())

  test(`F22: a process that was given the number of a dead worker is left alone (${containment})`, {
    skip,
  }, async (t) => {
    const bench = await useScriptBench(t)
    const options = JSON.stringify(bench.options({ forceContainment: containment }))
    const node = [process.execPath, fixture, options, JSON.stringify(shSpec('exec sleep 1000'))]
    const namespace = ['--pid', '--mount-proc', '--fork', '--kill-child']
    const { stdout } = await run(unshare || '', [...namespace, 'sh', '-c', REAPER, ...node], { timeout: 30_000 })
    assert.deepEqual(JSON.parse(stdout), {
      ...{ samePid: true, otherStart: true, state: 'missing', exit: null, running: [false], survived: true },
    })
  })
}
