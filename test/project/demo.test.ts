import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '..', '..')

test('the demo shows a cocoon that answers, how to list and kill it and where the token is, then cleans up', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'hive-demo-test-'))
  t.after(() => rm(directory, { recursive: true }))
  const env = { ...process.env, TMPDIR: directory, INIT_CWD: ROOT, HIVE_TOKEN: 'a setting of another Hive' }
  const demo = promisify(execFile)(process.execPath, ['scripts/demo.ts', '--once'], { cwd: ROOT, env })
  const { stdout, stderr } = await demo
  assert.equal(stderr, '')
  const name = /A cocoon is ready: {2}http:\/\/(cocoon-[0-9a-f]{8})\.localhost:\d+\/\n/.exec(stdout)?.[1]
  assert.ok(name, stdout)
  // What this shell holds of another Hive must not lead the commands astray.
  assert.match(stdout, /\nlist: .* HIVE_TOKEN= \.\/bin\/hive\.js list\n/)
  assert.match(stdout, new RegExp(`\nkill: .* \\./bin/hive\\.js kill ${name}\n`))
  assert.match(stdout, new RegExp(`\ntoken: +${directory}/hive-demo-.*/token\n`))
  assert.match(stdout, new RegExp(`\nKilled ${name}, and stopped Hive`))
})
