import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hive } from '../support/command-line.ts'

const check = (kinds: string, ...more: string[]) =>
  hive(['kinds', '--check', ...more], { env: { COCOON_KINDS: kinds, HIVE_STATE_DIR: '/nonexistent' } })

test('kinds --check prints what COCOON_KINDS means, line by line, without any Hive', async () => {
  const ran = await check('native:script:{"command":"cocoon-worker","args":["--kind","{kind}"]},\nubuntu:docker:dind,')
  assert.deepEqual(ran, {
    code: 0,
    stdout:
      'native (script)  {"command":"cocoon-worker","args":["--kind","{kind}"]}\n' +
      'ubuntu (docker)  {"image":"dind"}\n',
    stderr: '',
  })
})

test('kinds --check of nothing prints the nine default kinds', async () => {
  const { code, stdout } = await check('')
  assert.equal(code, 0)
  assert.equal(stdout.trim().split('\n').length, 9)
})

test('kinds --check prints every problem and exits 78', async () => {
  const ran = await check('a b:script:x,c:script,d:docker:{"image":1}')
  assert.equal(ran.code, 78)
  assert.equal(ran.stdout, '')
  for (const entry of ['entry 1', 'entry 2', 'entry 3']) assert.match(ran.stderr, new RegExp(entry))
  const json = await check('c:script', '--json')
  const printed = JSON.parse(json.stderr)
  assert.equal(printed.code, 'CLI_CONFIG')
  assert.equal(printed.problems.length, 1)
})

test('kinds --check never prints an environment value, wrong or right', async () => {
  const right = await check('n:script:{"command":"x","environment":{"KEY":"planted"}}')
  assert.match(right.stdout, /"KEY":"\[redacted\]"/)
  const wrong = await check('n:script:{"command":"x","environment":{"KEY":"planted"},"nope":1}')
  assert.equal(wrong.code, 78)
  for (const { stdout, stderr } of [right, wrong]) assert.doesNotMatch(stdout + stderr, /planted/)
})
