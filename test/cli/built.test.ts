import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const LONG_AGO = new Date('2020-01-01')

/** A clone in small: the real bins and build script, the real packages, and sources that say what runs. */
async function clone(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-built-'))
  t.after(() => rm(directory, { recursive: true }))
  const files: Record<string, string> = {
    'package.json': '{"type":"module","version":"1.2.3"}',
    'package-lock.json': '{}',
    'src/cli/main.ts': MAIN,
    'src/said.ts': `export const said: string = 'first'\n`,
    'src/services/table/table-worker.ts': 'export {}\n',
    'plugins/one.ts': 'export {}\n',
    'routes/one.ts': 'export {}\n',
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(directory, name, '..'), { recursive: true })
    await writeFile(join(directory, name), text)
  }
  await cp(join(ROOT, 'bin'), join(directory, 'bin'), { recursive: true })
  await mkdir(join(directory, 'scripts'))
  await cp(join(ROOT, 'scripts/build.js'), join(directory, 'scripts/build.js'))
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  return directory
}

const MAIN = `import { said } from '../said.ts'
export async function main(_argv: string[], _env: object, io: { stdout: NodeJS.WriteStream }): Promise<number> {
  io.stdout.write(said + ' ' + (import.meta.url.endsWith('.ts') ? 'from its sources' : 'built'))
  return 0
}
`

function node(directory: string, ...args: string[]): string {
  return execFileSync(process.execPath, args, { cwd: directory, encoding: 'utf8', env: { PATH: '' }, stdio: 'pipe' })
}

const hive = (directory: string) => node(directory, 'bin/hive.js')
const build = (directory: string) => node(directory, 'scripts/build.js')

test('a clone runs what was built from just these sources, else the sources', async (t) => {
  const directory = await clone(t)
  assert.equal(hive(directory), 'first from its sources', 'nothing was built')
  build(directory)
  assert.equal(hive(directory), 'first built')

  const said = join(directory, 'src/said.ts')
  await writeFile(said, `export const said: string = 'other'\n`)
  await utimes(said, LONG_AGO, LONG_AGO)
  assert.equal(hive(directory), 'other from its sources', 'changed, with a time from before the build')
  build(directory)
  assert.equal(hive(directory), 'other built')

  for (const part of ['package-lock.json', 'routes/one.ts', 'plugins/two.ts', 'scripts/build.js']) {
    build(directory)
    await writeFile(join(directory, part), '{ }\n')
    assert.equal(hive(directory), 'other from its sources', part)
    await cp(join(ROOT, 'scripts/build.js'), join(directory, 'scripts/build.js'))
  }
  build(directory)
  await rename(join(directory, 'routes/one.ts'), join(directory, 'routes/two.ts'))
  assert.equal(hive(directory), 'other from its sources', 'renamed')
})

test('a copy of a clone, with other times, goes on with its build', async (t) => {
  const directory = await clone(t)
  build(directory)
  for (const name of ['src/said.ts', 'package-lock.json']) await utimes(join(directory, name), new Date(), new Date())
  assert.equal(hive(directory), 'first built')
})

test('half a build is not run, and the published package needs no sources', async (t) => {
  const directory = await clone(t)
  build(directory)
  await rename(join(directory, 'dist/built-from.sha256'), join(directory, 'digest'))
  assert.equal(hive(directory), 'first from its sources')
  await rm(join(directory, 'src'), { recursive: true })
  assert.equal(hive(directory), 'first built')
})

test('npm ci tells what it could not build and goes on; npm run build fails', async (t) => {
  const directory = await clone(t)
  build(directory)
  await rm(join(directory, 'node_modules'))
  assert.throws(() => build(directory), /Cannot find package 'esbuild'/)
  node(directory, 'scripts/build.js', '--if-possible')
  assert.equal(hive(directory), 'first from its sources', 'the old build went')
})
