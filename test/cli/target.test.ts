import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { resolveTarget } from '../../src/cli/target.ts'
import { hive } from '../support/command-line.ts'
import { problem, startStubHive } from '../support/stub-hive.ts'

async function stateDirectory(t: TestContext, token: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-cli-'))
  t.after(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'token'), token)
  return directory
}

const none = { url: undefined, tokenFile: undefined }

test('the token is --token-file, else HIVE_TOKEN, else the token file of a local Hive', async (t) => {
  const directory = await stateDirectory(t, 'from-state\n')
  const other = join(await stateDirectory(t, 'from-option\n'), 'token')
  const env = { HIVE_STATE_DIR: directory, HIVE_TOKEN: 'from-env' }
  assert.equal((await resolveTarget(env, { ...none, tokenFile: other })).token, 'from-option')
  assert.equal((await resolveTarget(env, none)).token, 'from-env')
  assert.equal((await resolveTarget({ HIVE_STATE_DIR: directory }, none)).token, 'from-state')
})

test('the target is --url, else HIVE_URL, else the HIVE_PORT of this environment, else 8020', async () => {
  const base = async (env: Record<string, string>, url?: string) =>
    (await resolveTarget({ HIVE_TOKEN: 'a'.repeat(16), ...env }, { ...none, url })).base
  assert.equal(await base({ HIVE_URL: 'http://a.example', HIVE_PORT: '9000' }, 'http://b.example'), 'http://b.example')
  assert.equal(await base({ HIVE_URL: 'http://a.example', HIVE_PORT: '9000' }), 'http://a.example')
  assert.equal(await base({ HIVE_PORT: '9000' }), 'http://127.0.0.1:9000')
  for (const HIVE_PORT of ['', '0', 'x', '65536', '1@a.example'])
    assert.equal(await base({ HIVE_PORT }), 'http://127.0.0.1:8020', HIVE_PORT)
})

test('the token file is read for loopback targets only', async (t) => {
  const env = { HIVE_STATE_DIR: await stateDirectory(t, 'local-secret') }
  for (const url of [
    'http://127.0.0.1:1',
    'http://127.9.9.9',
    'http://[::1]:8020',
    'http://localhost:8020',
    'http://2130706433',
  ]) {
    assert.equal((await resolveTarget({ ...env, HIVE_URL: url }, none)).token, 'local-secret', url)
  }
  for (const url of [
    'http://10.0.0.1',
    'http://localhost.example.org',
    'http://127.0.0.1.example.org',
    'http://0.0.0.0',
    'http://x.localhost',
  ]) {
    assert.equal((await resolveTarget({ ...env, HIVE_URL: url }, none)).token, null, url)
  }
})

test('the state directory follows HIVE_STATE_DIR, XDG_STATE_HOME and HOME', async () => {
  const lookedAt = async (env: Record<string, string>) => (await resolveTarget(env, none)).tokenSource
  assert.match(await lookedAt({ HIVE_STATE_DIR: '/nonexistent/s' }), /^\/nonexistent\/s\/token \(ENOENT\)/)
  if (process.getuid?.() === 0) {
    assert.match(await lookedAt({ HOME: '/nonexistent/h' }), /^\/var\/lib\/hive\/token/)
  } else {
    assert.match(await lookedAt({ HOME: '/nonexistent/h' }), /^\/nonexistent\/h\/\.local\/state\/hive\/token/)
    assert.match(await lookedAt({ XDG_STATE_HOME: '/nonexistent/x' }), /^\/nonexistent\/x\/hive\/token/)
  }
})

test('a target may carry a path, but no password, query or other protocol, and none of it is repeated', async () => {
  assert.equal(
    (await resolveTarget({}, { ...none, url: 'https://example.org/hive//' })).base,
    'https://example.org/hive',
  )
  const wrong = [
    'ftp://planted',
    'planted',
    'http://u:planted@127.0.0.1',
    'http://127.0.0.1/?planted',
    'http://127.0.0.1/#planted',
  ]
  for (const url of wrong) {
    const ran = await hive(['list', '--url', url])
    assert.equal(ran.code, 2, url)
    assert.doesNotMatch(ran.stderr, /planted/)
  }
})

test('a file that holds no token is refused without printing what it holds', async (t) => {
  for (const content of ['', 'two\nlines-planted', 'planted ünïcode', 'x'.repeat(5000)]) {
    const file = join(await stateDirectory(t, content), 'token')
    const ran = await hive(['list', '--token-file', file])
    assert.equal(ran.code, 2)
    assert.doesNotMatch(ran.stderr, /planted|xxxx/)
  }
  const missing = await hive(['list', '--token-file', '/nonexistent/token'])
  assert.equal(missing.code, 4)
  assert.match(missing.stderr, /\/nonexistent\/token: ENOENT/)
})

test('401 says where a token was looked for, or whose token was wrong, never the token', async (t) => {
  const stub = await startStubHive(t, () => problem(401, 'HIVE_UNAUTHORIZED'))
  const without = await hive(['list', '--url', stub.url], { env: { HIVE_STATE_DIR: '/nonexistent/s' } })
  assert.equal(without.code, 4)
  assert.match(without.stderr, /looked at \/nonexistent\/s\/token \(ENOENT\)/)
  const wrong = await hive(['list', '--url', stub.url], { env: { HIVE_TOKEN: 'planted-token' } })
  assert.match(wrong.stderr, /token of HIVE_TOKEN is not the one/)
  assert.doesNotMatch(wrong.stderr, /planted/)
  assert.deepEqual(
    stub.seen.map(({ authorization }) => authorization),
    [undefined, 'Bearer planted-token'],
  )
})

test('a token file that is there but cannot be read is named with the reason', async (t) => {
  const directory = await stateDirectory(t, 'secret')
  await rm(join(directory, 'token'))
  await mkdir(join(directory, 'token'))
  const target = await resolveTarget({ HIVE_STATE_DIR: directory }, none)
  assert.equal(target.token, null)
  assert.match(target.tokenSource, /token \(EISDIR\)/)
})
