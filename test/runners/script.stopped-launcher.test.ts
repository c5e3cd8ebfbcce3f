import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../support/deadline.ts'
import { CONTAINMENTS, noCgroups, processRuns, shSpec, useScriptBench } from '../support/script-bench.ts'

for (const containment of CONTAINMENTS)
  test(`I8: a launcher that was stopped ends with its removed cocoon (${containment})`, {
    skip: containment === 'cgroup' && noCgroups(),
  }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const spec = shSpec('exec sleep 1000')
    const { handle } = await bench.launch(spec)
    const claim = readFileSync(join(bench.stateDir, 'run', spec.id, '1', 'claim'), 'utf8')
    const launcher = Number.parseInt(claim, 10)
    assert.ok(processRuns(launcher))
    process.kill(launcher, 'SIGSTOP')
    await bench.driver.remove(handle, { volumes: true }, bench.signal)
    await until(() => !processRuns(launcher), 5_000, 'the end of the launcher')
  })
