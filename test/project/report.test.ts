import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')

test('the report names the test files that failed, also where the test is written in a shared one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'hive-report-'))
  t.after(() => rm(directory, { recursive: true }))
  await mkdir(join(directory, 'support'))
  const shared = `import { test } from 'node:test'\nexport const fails = () => test('fails', () => { throw new Error() })\n`
  await writeFile(join(directory, 'support', 'shared.mjs'), shared)
  await writeFile(join(directory, 'one.test.mjs'), `import { fails } from './support/shared.mjs'\nfails()\n`)
  await writeFile(join(directory, 'two.test.mjs'), `import { test } from 'node:test'\ntest('passes', () => {})\n`)
  const failed = join(directory, 'failed')
  // Without the variable by which a test process knows that it is one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const args = ['--test', '--test-reporter=./scripts/test-report.ts', join(directory, '*.test.mjs')]
  const run = spawnSync(process.execPath, args, { cwd: ROOT, env: { ...env, HIVE_TEST_FAILED: failed } })
  assert.equal(run.status, 1)
  assert.equal(await readFile(failed, 'utf8'), `${relative(ROOT, join(directory, 'one.test.mjs'))}\n`)
})
