import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, copyFile, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { LaunchRefused, type LaunchSpec } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scriptConfig, scriptSpec } from '../support/launch-spec.ts'
import { HTTPD, shSpec, useScriptBench } from '../support/script-bench.ts'

const notRoot = process.getuid?.() !== 0 && 'only root can run a cocoon as somebody else'

test('F29: what cannot be executed is refused with its reason, by describe, prepare and start', async (t) => {
  const bench = await useScriptBench(t)
  const dir = bench.stateDir
  await writeFile(join(dir, 'plain'), '#!/bin/sh\n', { mode: 0o644 })
  await writeFile(join(dir, 'lost'), '#!/no/such/interpreter -x\n', { mode: 0o755 })
  await writeFile(join(dir, 'lost-env'), '#!/usr/bin/env no-such-language\n', { mode: 0o755 })
  await writeFile(join(dir, 'bare'), 'echo hello\n', { mode: 0o755 })
  const cases: [string, RegExp][] = [
    ['no-such-command-anywhere', /is not in Hive's PATH/],
    [join(dir, 'missing'), /does not exist/],
    [join(dir, 'plain'), /is not executable: chmod \+x/],
    [join(dir, 'lost'), /interpreter "\/no\/such\/interpreter"/],
    [join(dir, 'lost-env'), /interpreter "no-such-language"/],
    [join(dir, 'bare'), /does it begin with #!/],
    [dir, /is a directory/],
    ['./relative', /must be a full path/],
    ['', /is not a file name/],
  ]
  for (const [command, reason] of cases) {
    const spec = scriptSpec({ command }, { port: null })
    const facts = bench.driver.describe(spec.config)
    assert.equal(facts.available, false, command)
    assert.match(facts.reason ?? '', reason)
    await assert.rejects(
      bench.driver.prepare(spec, () => {}, bench.signal),
      isRefusal(reason),
    )
    await assert.rejects(bench.driver.start(spec, bench.signal), isRefusal(reason))
  }
  await assertNothingLeft(bench)
})

test('F29: a program that is being written (text busy) is refused by the launch itself', async (t) => {
  const bench = await useScriptBench(t)
  const command = await busyProgram(t, bench)
  const spec = scriptSpec({ command, args: ['1000'] }, { port: null })
  await assert.rejects(bench.driver.start(spec, bench.signal), isRefusal(/cannot be executed: Text file busy/))
  await assertNothingLeft(bench)
})

test('a worker that itself ends with 126 or 127 ran and was not refused', async (t) => {
  const bench = await useScriptBench(t)
  for (const code of [126, 127]) {
    const { handle } = await bench.launch(shSpec(`echo "cocoon: 1: exec: x: not found" >&2; exit ${code}`))
    assert.deepEqual(await bench.driver.wait(handle, bench.signal), { code, signal: null, oom: false })
  }
})

test('arguments arrive one by one and no shell reads them', async (t) => {
  const bench = await useScriptBench(t)
  const args = [
    '',
    ' two  words ',
    '"quoted" \'too\'',
    '$(touch planted) `touch planted` $HOME',
    'a\nb',
    '*',
    '--',
    '-c',
    '\\',
  ]
  const print = 'process.stdout.write(JSON.stringify(process.argv.slice(2)))'
  const script = join(bench.stateDir, 'print.mjs')
  await writeFile(script, print)
  const spec = scriptSpec({ command: process.execPath, args: [script, ...args] }, { port: null })
  const { handle } = await bench.launch(spec)
  await bench.driver.wait(handle, bench.signal)
  assert.deepEqual(JSON.parse(await outputOf(bench, spec, 'stdout')), args)
  assert.deepEqual(await readdir(join(bench.stateDir, 'work', spec.id)), [])
})

test('the environment is what the spec says, the documented names, and nothing of the daemon', async (t) => {
  process.env['HIVE_PLANTED_IN_DAEMON'] = 'x'
  t.after(() => delete process.env['HIVE_PLANTED_IN_DAEMON'])
  const hostEnvironment = { PATH: '/usr/bin:/bin', HOME: '/root', LANG: 'C.UTF-8', TZ: 'UTC', TMPDIR: '/tmp' }
  const bench = await useScriptBench(t, { hostEnvironment })
  const given = { ONE: ' $x "y" `z` \n', start: 'a', pid: 'b', dir: 'c', code: 'd', LANG: 'de_DE', UMLAUT: 'äöü' }
  const { pid, handle } = await bench.launch(
    scriptSpec({ command: 'sleep', args: ['1000'] }, { port: null, env: given }),
  )
  const entries = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').filter(Boolean)
  const seen = Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s, 2)))
  const home = join(bench.stateDir, 'work', String(handle.data['id']))
  const mark = { HIVE_COCOON_MARK: `${handle.data['id']}.1` }
  const { PATH, TZ, TMPDIR } = hostEnvironment
  assert.deepEqual(seen, { PATH, TZ, TMPDIR, HOME: home, PWD: home, ...mark, ...given })
})

test('a name or value that cannot be passed on is refused without showing the value', async (t) => {
  const bench = await useScriptBench(t)
  for (const env of [
    { 'a b': 'planted' },
    { 'BASH_FUNC_x%%': 'planted' },
    { A: 'planted\0' },
    { __hive_dir: 'planted' },
  ]) {
    const error = await thrownBy(bench.driver.start({ ...shSpec('exit 0'), env }, bench.signal))
    assert.ok(error instanceof LaunchRefused)
    assert.equal(inspect(error, { depth: 9 }).includes('planted'), false)
  }
  const huge = await thrownBy(
    bench.driver.start({ ...shSpec('exit 0'), env: { A: 'planted'.repeat(30_000) } }, bench.signal),
  )
  assert.ok(huge instanceof LaunchRefused)
  assert.match(huge.message, /too large/)
  assert.equal(inspect(huge, { depth: 9 }).includes('planted'), false)
  await assertNothingLeft(bench)
})

test('a launcher file that was damaged or deleted is made again', async (t) => {
  const bench = await useScriptBench(t)
  await bench.launch(shSpec('exit 0'))
  const runs = join(bench.stateDir, 'run')
  const file = join(runs, (await readdir(runs)).find((name) => name.startsWith('.launcher-')) ?? '')
  await writeFile(file, '')
  const { handle } = await bench.newDriver().start(shSpec('exit 3'), bench.signal)
  assert.equal((await bench.driver.wait(handle, bench.signal))?.code, 3)
  await rm(file)
  const second = await bench.launch(shSpec('exit 4'))
  assert.equal((await bench.driver.wait(second.handle, bench.signal))?.code, 4)
})

test('a worker starts with no signal ignored and none blocked', async (t) => {
  const bench = await useScriptBench(t)
  const { pid } = await bench.launch(scriptSpec({ command: 'sleep', args: ['1000'] }, { port: null }))
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  assert.match(status, /^SigBlk:\t0+$/m)
  assert.match(status, /^SigIgn:\t0+$/m)
})

test('standard output and error go to a file each, of the attempt', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('echo out; echo err >&2')
  const { handle } = await bench.launch(spec)
  await bench.driver.wait(handle, bench.signal)
  assert.equal(await outputOf(bench, spec, 'stdout'), 'out\n')
  assert.equal(await outputOf(bench, spec, 'stderr'), 'err\n')
  const second = { ...spec, attempt: 2, handle }
  await bench.driver.wait((await bench.launch(second)).handle, bench.signal)
  assert.equal(await outputOf(bench, second, 'stdout'), 'out\n')
  assert.equal(await outputOf(bench, spec, 'stdout'), 'out\n')
})

test('of many attempts the last five are kept', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('exit 0')
  for (let attempt = 1; attempt <= 7; attempt++) {
    await bench.driver.wait((await bench.launch({ ...spec, attempt })).handle, bench.signal)
  }
  assert.deepEqual((await readdir(join(bench.stateDir, 'run', spec.id))).sort(), ['3', '4', '5', '6', '7'])
})

test('F38: a taken port is refused with the reason `port` before anything is launched', async (t) => {
  const bench = await useScriptBench(t)
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const error = await thrownBy(bench.driver.start(shSpec('exit 0', { port }), bench.signal))
    server.close()
    assert.ok(error instanceof LaunchRefused)
    assert.equal(error.reason, 'port')
  }
  await assertNothingLeft(bench)
})

test('F40: a port that a stranger listens on does not count, and is told as such', async (t) => {
  const bench = await useScriptBench(t)
  const spec = shSpec('exec sleep 1000', { port: await freePort() })
  const { handle } = await bench.launch(spec)
  const binding = spec.ports[0]!
  assert.equal(await bench.driver.listens(handle, binding, bench.signal), false)
  const stranger = createServer().listen(binding.hostPort, '127.0.0.1')
  t.after(() => stranger.close())
  await once(stranger, 'listening')
  const error = await thrownBy(bench.driver.listens(handle, binding, bench.signal))
  assert.ok(error instanceof LaunchRefused)
  assert.equal(error.reason, 'port')
})

test('a port that a child of the worker listens on counts', async (t) => {
  const bench = await useScriptBench(t)
  const port = await freePort()
  const text = `setsid "${process.execPath}" "${HTTPD}" & exec sleep 1000`
  const spec = { ...shSpec(text, { port }), env: { PORT: String(port) } }
  const { handle } = await bench.launch(spec)
  await until(() => bench.driver.listens(handle, spec.ports[0]!, bench.signal), 10_000, 'the child listening')
})

test('a worker that listens on every address, IPv4 or IPv6, counts', async (t) => {
  const bench = await useScriptBench(t)
  for (const host of ['0.0.0.0', '::']) {
    const port = await freePort()
    const args = ['-e', `require('node:net').createServer().listen(${port}, '${host}')`]
    const spec = scriptSpec({ command: process.execPath, args }, { port })
    const { handle } = await bench.launch(spec)
    await until(() => bench.driver.listens(handle, spec.ports[0]!, bench.signal), 10_000, host)
  }
})

test('fifty starts at once all come up, each with a worker of its own', async (t) => {
  const bench = await useScriptBench(t)
  const specs = Array.from({ length: 50 }, () => shSpec('exec sleep 1000'))
  const launched = await Promise.all(specs.map((spec) => bench.launch(spec)))
  assert.equal(new Set(launched.map(({ pid }) => pid)).size, 50)
  assert.equal((await bench.driver.list(bench.signal)).filter(({ running }) => running).length, 50)
  await Promise.all(launched.map(({ handle }) => bench.driver.stop(handle, 5_000, bench.signal)))
  const ends = await Promise.all(launched.map(({ handle }) => bench.driver.wait(handle, bench.signal)))
  assert.ok(ends.every((end) => end?.code === 143))
})

test('user: a cocoon runs as somebody else, in its own directory, without capabilities', {
  skip: notRoot,
}, async (t) => {
  const bench = await useScriptBench(t)
  await chmod(bench.stateDir, 0o711)
  const text = 'id -u; id -g; id -G; grep CapEff /proc/self/status; echo ok >"$HOME/written"'
  for (const [user, ids] of [
    ['nobody', ['65534', '65534', '65534']],
    ['4242:4343', ['4242', '4343', '4343']],
  ] as const) {
    const spec = { ...shSpec(''), config: scriptConfig({ command: 'sh', args: ['-c', text], user }) }
    const { handle } = await bench.launch(spec)
    assert.equal((await bench.driver.wait(handle, bench.signal))?.code, 0)
    const output = await outputOf(bench, spec, 'stdout')
    assert.deepEqual(output.split('\n').slice(0, 4), [...ids, 'CapEff:\t0000000000000000'])
  }
})

test('user: unknown names, unreachable directories and what cannot be executed are refused', {
  skip: notRoot,
}, async (t) => {
  const bench = await useScriptBench(t)
  const start = (config: Parameters<typeof scriptConfig>[0]) =>
    bench.driver.start({ ...shSpec(''), config: scriptConfig(config) }, bench.signal)
  await assert.rejects(start({ command: 'sh', user: 'nobody' }), isRefusal(/cannot reach the working directory/))
  await assert.rejects(start({ command: 'sh', user: 'no-such-user' }), isRefusal(/no user "no-such-user"/))
  await assert.rejects(start({ command: 'sh', user: 'nobody:no-such-group' }), isRefusal(/no group "no-such-group"/))
  await chmod(bench.stateDir, 0o711)
  const command = await busyProgram(t, bench)
  await assert.rejects(start({ command, user: 'nobody' }), isRefusal(/as another user: .*Text file busy/))
  await assertNothingLeft(bench)
})

type Bench = Awaited<ReturnType<typeof useScriptBench>>

/** A program that cannot be executed now, because it is open for writing. */
async function busyProgram(t: TestContext, bench: Bench): Promise<string> {
  const command = join(bench.stateDir, 'busy')
  await copyFile('/bin/sleep', command)
  await chmod(command, 0o755)
  const writer = await open(command, 'r+')
  t.after(() => writer.close())
  return command
}

function isRefusal(reason: RegExp) {
  return (error: unknown) => error instanceof LaunchRefused && reason.test(error.message)
}

async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  )
}

function outputOf(bench: Bench, { id, attempt }: LaunchSpec, stream: 'stdout' | 'stderr'): Promise<string> {
  return readFile(join(bench.stateDir, 'run', id, String(attempt), 'output', `${stream}.log`), 'utf8')
}

async function assertNothingLeft(bench: Bench): Promise<void> {
  assert.deepEqual(await bench.driver.list(bench.signal), [])
  for (const folder of ['run', 'work']) {
    const names = await readdir(join(bench.stateDir, folder)).catch(() => [])
    const left = names.filter((name) => !name.startsWith('.launcher-'))
    assert.deepEqual(left, [], folder)
  }
}
