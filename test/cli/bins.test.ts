import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Ran } from '../support/command-line.ts'
import { record, startStubHive } from '../support/stub-hive.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const HIVE = join(ROOT, 'bin', 'hive.js')
const ADI = join(ROOT, 'bin', 'adi.js')

async function run(file: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return ended(spawn(process.execPath, [file, ...argv], { env: { PATH: '', ...env }, stdio: 'pipe' }))
}

async function ended(child: ChildProcess): Promise<Ran> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text))
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-bins-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

async function program(file: string, text: string): Promise<void> {
  await writeFile(file, text)
  await chmod(file, 0o755)
}

test('hive and adi hive are the same command line', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: { services: [record()], next_cursor: null } }))
  const env = { HIVE_URL: stub.url, HIVE_TOKEN: 'token' }
  const viaHive = await run(HIVE, ['list'], env)
  assert.deepEqual(viaHive, { code: 0, stdout: 'cocoons:cocoon-abc123  running  PID 12345 (native)\n', stderr: '' })
  assert.deepEqual(await run(ADI, ['hive', 'list'], env), viaHive)
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  assert.equal((await run(HIVE, ['--version'])).stdout, `${version}\n`)
})

test('Ctrl-C while a spawn is awaited says that it goes on, and ends by the signal', async (t) => {
  const body = { ...record(), name: 'slow', fqn: 'cocoons:slow', state: 'starting', ready: false }
  const asked = Promise.withResolvers<void>()
  const stub = await startStubHive(t, ({ method }) => {
    if (method === 'GET') asked.resolve()
    return { status: method === 'GET' ? 200 : 202, body }
  })
  const env = { PATH: '', HIVE_URL: stub.url, HIVE_TOKEN: 'token' }
  const child = spawn(process.execPath, [HIVE, 'spawn', 'native'], { env, stdio: 'pipe' })
  t.after(() => child.kill('SIGKILL'))
  const end = ended(child)
  await asked.promise
  child.kill('SIGINT')
  const { stdout, stderr } = await end
  assert.equal(child.signalCode, 'SIGINT')
  assert.equal(stdout, '')
  assert.match(stderr, /cocoons:slow comes up without us: `hive show slow` .*`hive kill slow` removes it\n$/)
})

test('hive exits with the code of the command', async () => {
  assert.equal((await run(HIVE, ['frobnicate'])).code, 2)
  assert.equal((await run(ADI, ['hive', 'frobnicate'])).code, 2)
})

test('hive ends quietly when its reader goes away', async (t) => {
  const services = Array.from({ length: 5000 }, (_, index) => record({ name: `c${index}` }))
  const stub = await startStubHive(t, () => ({ status: 200, body: { services, next_cursor: null } }))
  const env = { PATH: '', HIVE_URL: stub.url, HIVE_TOKEN: 'token' }
  const child = spawn(process.execPath, [HIVE, 'list'], { env, stdio: 'pipe' })
  child.stdout.destroy()
  const { code, stderr } = await ended(child)
  assert.equal(stderr, '')
  assert.equal(code, 0)
})

test('adi hands anything else, untouched, to the next adi in PATH and ends as it ends', async (t) => {
  const directory = await temporary(t)
  await program(join(directory, 'adi'), '#!/bin/sh\nprintf "[%s]" "$@"\nexit 41\n')
  const ran = await run(ADI, ['deploy', '--help', '', 'a b'], { PATH: directory })
  assert.deepEqual(ran, { code: 41, stdout: '[deploy][--help][][a b]', stderr: '' })
})

test('adi never calls itself or what stands before it in PATH', async (t) => {
  const [before, own, after] = [await temporary(t), await temporary(t), await temporary(t)]
  await program(join(before, 'adi'), '#!/bin/sh\necho before\n')
  await symlink(ADI, join(own, 'adi'))
  const nowhere = await run(ADI, ['deploy'], { PATH: [before, own, after, own, before].join(delimiter) })
  assert.equal(nowhere.code, 127)
  assert.match(nowhere.stderr, /no other adi in PATH/)
  await program(join(after, 'adi'), '#!/bin/sh\necho after\n')
  const found = await run(ADI, ['deploy'], { PATH: [before, own, after].join(delimiter) })
  assert.equal(found.stdout, 'after\n')
})

test('adi without arguments and without another adi exits 127', async () => {
  assert.equal((await run(ADI, [])).code, 127)
})

test('a signal to adi reaches the other adi, and its end by a signal is handed back', async (t) => {
  const directory = await temporary(t)
  await program(join(directory, 'adi'), '#!/bin/sh\necho up\nexec sleep 60\n')
  const child = spawn(process.execPath, [ADI, 'x'], { env: { PATH: `${directory}${delimiter}/bin` }, stdio: 'pipe' })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  const [code, signal] = await once(child, 'close')
  assert.deepEqual([code, signal], [null, 'SIGTERM'])
})

/** A copy of the bins in a package of its own, beside which any `node` can be put. */
async function packageWith(t: TestContext, node: string | null): Promise<string> {
  const directory = await temporary(t)
  await mkdir(join(directory, 'bin'))
  for (const file of ['hive.js', 'adi.js', 'entry.js', 'built.js', 'own-node.js']) {
    await copyFile(join(ROOT, 'bin', file), join(directory, 'bin', file))
  }
  await writeFile(join(directory, 'package.json'), '{"type":"module","version":"1.2.3"}')
  await symlink(join(ROOT, 'src'), join(directory, 'src'))
  if (node !== null) {
    await mkdir(join(directory, 'node_modules', 'node', 'bin'), { recursive: true })
    await program(join(directory, 'node_modules', 'node', 'bin', 'node'), node)
  }
  return directory
}

/** Makes any Node claim to be an old one before a bin is loaded. */
const PRETEND_OLD = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.20.2"})'

async function runOld(directory: string, argv: readonly string[]): Promise<Ran> {
  const args = ['--import', PRETEND_OLD, join(directory, 'bin', 'hive.js'), ...argv]
  return ended(spawn(process.execPath, args, { env: { PATH: '' }, stdio: 'pipe' }))
}

test('an old Node starts the one of the package instead, with the same arguments and end', async (t) => {
  const directory = await packageWith(t, '#!/bin/sh\nprintf "[%s]" "$@"\nexit 43\n')
  const ran = await runOld(directory, ['list', 'a b'])
  assert.deepEqual(ran, { code: 43, stdout: `[${join(directory, 'bin', 'hive.js')}][list][a b]`, stderr: '' })
})

test('an old Node without another one says which is needed and how to get it, exit 1', async (t) => {
  const published = await runOld(await packageWith(t, null), ['list'])
  assert.equal(published.code, 1)
  assert.match(published.stderr, /needs Node 24 or newer; this is Node 20\.20\.2[\s\S]*npx/)
  const clone = await packageWith(t, null)
  await writeFile(join(clone, 'package-lock.json'), '{}')
  assert.match((await runOld(clone, ['list'])).stderr, /Run `npm ci`/)
})

test('the first step of every npm script fails with the mend on an old Node and is silent on this one', async () => {
  const script = join(ROOT, 'scripts', 'check-node.js')
  const env = { PATH: '' }
  const good = await ended(spawn(process.execPath, [script], { env, stdio: 'pipe' }))
  assert.deepEqual(good, { code: 0, stdout: '', stderr: '' })
  const old = await ended(spawn(process.execPath, ['--import', PRETEND_OLD, script], { env, stdio: 'pipe' }))
  assert.equal(old.code, 1)
  assert.match(old.stderr, /Run `npm ci`/)
})

const HOST_NODE = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path)) ?? null

test('the bins and checks parse on whatever Node the host has', {
  skip: HOST_NODE === null && 'no Node on the host',
}, async () => {
  const bins = ['hive', 'adi', 'entry', 'built', 'own-node'].map((name) => `bin/${name}.js`)
  for (const file of [...bins, 'scripts/check-node.js', 'scripts/build.js']) {
    const child = spawn(HOST_NODE ?? '', ['--check', join(ROOT, file)], { env: { PATH: '' }, stdio: 'pipe' })
    assert.deepEqual(await ended(child), { code: 0, stdout: '', stderr: '' }, file)
  }
})
