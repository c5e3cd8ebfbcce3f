import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, copyFile, readdir, readFile, readlink, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { findTool } from '../../src/runners/script/command.ts'
import { openChecked } from '../../src/runners/script/digest.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { CONTAINMENTS, noCgroups, outputOf, useScriptBench } from '../support/script-bench.ts'

const WRONG = 'f'.repeat(64)
const digestOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

for (const containment of CONTAINMENTS) {
  const skip = containment === 'cgroup' && noCgroups()

  test(`sha256: the right program runs, and is the file that was read (${containment})`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { forceContainment: containment })
    const command = join(bench.stateDir, 'worker')
    await copyFile('/bin/sleep', command)
    const { pid, handle } = await bench.launch(
      scriptSpec({ command, args: ['1000'], sha256: await digestOf(command) }, { port: null }),
    )
    assert.equal(await readlink(`/proc/${pid}/exe`), command)
    assert.equal((await bench.driver.inspect(handle, bench.signal)).state, 'running')
  })
}

test('sha256: another digest is refused with both, and nothing is left', async (t) => {
  const bench = await useScriptBench(t)
  const found = (await digestOf('/bin/sh')).slice(0, 12)
  const spec = scriptSpec({ command: '/bin/sh', args: ['-c', 'exit 0'], sha256: WRONG }, { port: null })
  await assert.rejects(bench.driver.start(spec, bench.signal), (error) => {
    assert.ok(error instanceof LaunchRefused)
    assert.match(error.message, new RegExp(`has the sha256 ${found}….*asks for ffffffffffff…`))
    return true
  })
  const left = await readdir(join(bench.stateDir, 'run'))
  assert.deepEqual(
    left.filter((name) => !name.startsWith('.')),
    [],
  )
})

test('sha256: it is checked at each launch', async (t) => {
  const bench = await useScriptBench(t)
  const command = join(bench.stateDir, 'worker')
  await writeFile(command, '#!/bin/sh\necho first\n', { mode: 0o755 })
  const sha256 = await digestOf(command)
  const spec = scriptSpec({ command, sha256 }, { port: null })
  const { handle } = await bench.launch(spec)
  await bench.driver.wait(handle, bench.signal)
  assert.equal(await outputOf(bench.stateDir, spec, 'stdout'), 'first\n')
  await appendFile(command, 'echo planted\n')
  await assert.rejects(bench.driver.start({ ...spec, attempt: 2, handle }, bench.signal), { name: 'LaunchRefused' })
})

test('sha256: a file put in the place of the checked one is not what the descriptor executes', async (t) => {
  const bench = await useScriptBench(t)
  const command = join(bench.stateDir, 'worker')
  await copyFile('/bin/sleep', command)
  const program = await openChecked(command, await digestOf(command), bench.signal)
  t.after(() => program.close())
  await writeFile(`${command}.new`, 'planted')
  await rename(`${command}.new`, command)
  assert.deepEqual(await readFile(`/proc/self/fd/${program.fd}`), await readFile('/bin/sleep'))
})

test('sha256: a program that is written to between check and launch is noticed', async (t) => {
  const bench = await useScriptBench(t)
  const command = join(bench.stateDir, 'worker')
  await copyFile('/bin/sleep', command)
  const program = await openChecked(command, await digestOf(command), bench.signal)
  t.after(() => program.close())
  await program.verifyUnchanged()
  await appendFile(command, 'planted')
  await assert.rejects(program.verifyUnchanged(), { name: 'LaunchRefused', message: /was changed while/ })
})

for (const [sandbox, tool] of [
  ['bubblewrap', 'bwrap'],
  ['firejail', 'firejail'],
] as const) {
  const skip = findTool(tool, process.env['PATH'] ?? null) === null && `${sandbox} is not installed here`
  test(`sha256: programs and scripts run through their descriptor in ${sandbox} too`, { skip }, async (t) => {
    const bench = await useScriptBench(t, { uidRange: { first: 210_000, last: 210_099 } })
    await bench.driver.probe(bench.signal)
    const script = join(bench.stateDir, 'work', 'script')
    await writeFile(script, '#!/bin/sh\necho "from the script: $1"\n', { mode: 0o755 })
    for (const [command, args] of [
      ['/bin/echo', ['hello']],
      [script, ['hello']],
    ] as const) {
      const user = sandbox === 'bubblewrap' && process.getuid?.() === 0 ? 'auto' : null
      const spec = scriptSpec({ command, args, sandbox, user, sha256: await digestOf(command) }, { port: null })
      const { handle } = await bench.launch(spec)
      const exit = await bench.driver.wait(handle, bench.signal)
      assert.equal(exit?.code, 0, await outputOf(bench.stateDir, spec, 'stderr'))
      assert.match(await outputOf(bench.stateDir, spec, 'stdout'), /hello\n$/)
    }
  })
}
