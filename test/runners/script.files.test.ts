import assert from 'node:assert/strict'
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LaunchRefused, type LaunchSpec } from '../../src/runners/driver.ts'
import { planWorkingDirectory } from '../../src/runners/script/working-directory.ts'
import { within } from '../support/deadline.ts'
import { scriptConfig } from '../support/launch-spec.ts'
import { shSpec, useScriptBench } from '../support/script-bench.ts'

test('the default working directory is made, private, and removed with the service', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('pwd; echo kept >file')
  const { handle } = await bench.launch(spec)
  await bench.driver.wait(handle, bench.signal)
  const work = join(bench.stateDir, 'work', spec.id)
  assert.equal((await lstat(work)).mode & 0o777, 0o700)
  assert.equal(await stdoutOf(bench.stateDir, spec), `${work}\n`)
  assert.equal(await readFile(join(work, 'file'), 'utf8'), 'kept\n')
  await bench.driver.remove(handle, { volumes: true }, bench.signal)
  assert.deepEqual(await readdir(join(bench.stateDir, 'work')), [])
  assert.equal((await readdir(join(bench.stateDir, 'run'))).includes(spec.id), false)
})

test('files of the default working directory survive from attempt to attempt', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('echo attempt >>file; cat file')
  const first = await bench.launch(spec)
  await bench.driver.wait(first.handle, bench.signal)
  const second = { ...spec, attempt: 2, handle: first.handle }
  await bench.driver.wait((await bench.launch(second)).handle, bench.signal)
  assert.equal(await stdoutOf(bench.stateDir, second), 'attempt\nattempt\n')
})

test('F30: an own working directory is made if it is missing and kept on remove', async (t) => {
  const bench = await useScriptBench(t)
  const base = join(bench.stateDir, 'own', 'deep')
  const spec = inDirectory(shSpec('pwd'), (name) => join(base, name, 'inner'))
  const { handle } = await bench.launch(spec)
  await bench.driver.wait(handle, bench.signal)
  assert.equal(await stdoutOf(bench.stateDir, spec), `${base}/${spec.name}/inner\n`)
  await bench.driver.remove(handle, { volumes: true }, bench.signal)
  assert.deepEqual(await readdir(join(base, spec.name)), ['inner'])
})

test('F30: a symbolic link or a file below the prefix is refused, a link in the prefix is followed', async (t) => {
  const bench = await useScriptBench(t)
  const real = join(bench.stateDir, 'real')
  const outside = join(bench.stateDir, 'outside')
  await mkdir(real)
  await mkdir(outside)
  await symlink(real, join(bench.stateDir, 'link'))
  const base = join(bench.stateDir, 'link')

  const good = inDirectory(shSpec('pwd'), (name) => join(base, name))
  await bench.driver.wait((await bench.launch(good)).handle, bench.signal)
  assert.equal(await stdoutOf(bench.stateDir, good), `${real}/${good.name}\n`)

  const linked = inDirectory(shSpec('touch planted'), (name) => join(base, name, 'inner'))
  await symlink(outside, join(real, linked.name))
  const file = inDirectory(shSpec('touch planted'), (name) => join(base, name))
  await writeFile(join(real, file.name), '')
  for (const spec of [linked, file]) {
    await assert.rejects(bench.driver.start(spec, bench.signal), (error) => {
      return error instanceof LaunchRefused && /a file or a symbolic link is in the way/.test(error.message)
    })
  }
  assert.deepEqual(await readdir(outside), [])
})

test('F30: a directory that is swapped for a link while launches run never leads outside', async (t) => {
  const bench = await useScriptBench(t)
  const base = join(bench.stateDir, 'base')
  const outside = join(bench.stateDir, 'outside')
  await mkdir(base)
  await mkdir(outside)
  const spec = inDirectory(shSpec('touch planted'), (name) => join(base, name, 'inner'))
  const victim = join(base, spec.name)
  let flipping = true
  const flips = flip(victim, outside, () => flipping)
  let refused = 0
  // On a machine with much to do the other side of the race may be slow for a while.
  for (let attempt = 1; attempt <= 25 || (refused === 0 && attempt <= 400); attempt++) {
    const launched = await bench.driver.start({ ...spec, attempt }, bench.signal).catch((error: unknown) => {
      assert.ok(error instanceof LaunchRefused, String(error))
      return null
    })
    if (launched === null) refused++
    else await within(bench.driver.wait(launched.handle, bench.signal), 5_000, 'wait')
  }
  flipping = false
  await flips
  assert.deepEqual(await readdir(outside), [])
  assert.ok(refused > 0, 'the race was never lost, so nothing was tested')
})

test('a working directory that is relative or holds `..` is refused', () => {
  const spec = shSpec('')
  for (const path of ['relative', './x', '/tmp/../etc', `/tmp/${spec.name}/..`, '..']) {
    assert.throws(() => planWorkingDirectory(spec, path, '/work'), LaunchRefused, path)
  }
})

test('the part below the literal prefix begins with the first name that a placeholder filled', () => {
  const spec = shSpec('')
  const below = (path: string) => planWorkingDirectory(spec, path, '/work')
  assert.deepEqual(below('/a/b'), { base: '/a/b', below: [] })
  assert.deepEqual(below(`/a//b/./x-${spec.name}/c/`), { base: '/a/b', below: [`x-${spec.name}`, 'c'] })
  assert.deepEqual(below(`/a/${spec.kind}/b/${spec.requestId}`), {
    base: '/a',
    below: [spec.kind, 'b', spec.requestId],
  })
  assert.deepEqual(planWorkingDirectory(spec, null, '/work'), { base: '/work', below: [spec.id] })
})

test('run directories are private, and the marker is complete and without secrets', async (t) => {
  const bench = await useScriptBench(t)
  const spec = { ...shSpec('exec sleep 1000'), env: { TOKEN: 'planted-secret' } }
  await bench.launch(spec)
  const run = join(bench.stateDir, 'run', spec.id, '1')
  for (const folder of [join(run, '..'), run, join(run, 'output')]) {
    assert.equal((await lstat(folder)).mode & 0o777, 0o700, folder)
  }
  const text = await readFile(join(run, 'marker.json'), 'utf8')
  assert.doesNotMatch(text, /planted-secret/)
  const marker = JSON.parse(text) as Record<string, unknown>
  const { id, name, kind, attempt } = spec
  const known = { version: 1, instance: bench.instanceId, id, name, kind, attempt, config_hmac: 'c0ffee' }
  assert.deepEqual(Object.fromEntries(Object.keys(known).map((key) => [key, marker[key]])), known)
})

test('a damaged marker is no object and a start says what to do', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('exit 0')
  const run = join(bench.stateDir, 'run', spec.id, '1')
  await mkdir(run, { recursive: true })
  await writeFile(join(run, 'marker.json'), '{"version":1,')
  assert.deepEqual(await bench.driver.list(bench.signal), [])
  await assert.rejects(within(bench.driver.start(spec, bench.signal), 5_000, 'start'), /is damaged: remove it/)
})

test('ids and attempts that could leave the run directory are refused', async (t) => {
  const bench = await useScriptBench(t)
  for (const id of ['..', 'a/b', '', '.hidden', 'x\0y']) {
    await assert.rejects(bench.driver.start(shSpec('exit 0', { id, name: 'n' }), bench.signal), LaunchRefused)
  }
  await assert.rejects(bench.driver.start(shSpec('exit 0', { attempt: 1.5 }), bench.signal), LaunchRefused)
})

test('drafts that a Hive left which died while making them are swept by probe, young ones are not', async (t) => {
  const bench = await useScriptBench(t)
  const runs = join(bench.stateDir, 'run')
  await bench.driver.probe(bench.signal)
  await mkdir(join(runs, '.new-old'), { recursive: true })
  await mkdir(join(runs, '.new-young'), { recursive: true })
  await utimes(join(runs, '.new-old'), 1, 1)
  await bench.driver.probe(bench.signal)
  assert.deepEqual(await readdir(runs), ['.new-young'])
})

/** Turns the directory into a link to `outside` and back, as fast as it goes. */
async function flip(victim: string, outside: string, goOn: () => boolean): Promise<void> {
  const hidden = `${victim}.hidden`
  while (goOn()) {
    await rename(victim, hidden).catch(() => {})
    await symlink(outside, victim).catch(() => {})
    await new Promise((resolve) => setImmediate(resolve))
    await unlink(victim).catch(() => {})
    await rename(hidden, victim).catch(() => {})
    await new Promise((resolve) => setImmediate(resolve))
  }
  await rm(hidden, { recursive: true, force: true })
}

function inDirectory(spec: LaunchSpec, path: (name: string) => string): LaunchSpec {
  const config = spec.config.runner === 'script' ? spec.config : null
  return { ...spec, config: scriptConfig({ command: 'sh', args: config?.args ?? [], workingDir: path(spec.name) }) }
}

function stdoutOf(stateDir: string, { id, attempt }: LaunchSpec): Promise<string> {
  return readFile(join(stateDir, 'run', id, String(attempt), 'output', 'stdout.log'), 'utf8')
}
