import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import {
  type CredentialSearch,
  findCredentials,
  registryAuthHeader,
  repositoryOf,
  usualAuthFiles,
} from '../../src/runners/container/registry-auth.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { runCredentialHelper } from '../../src/runners/script/credential-helper.ts'

const signal = AbortSignal.timeout(20_000)
const encode = (text: string): string => Buffer.from(text).toString('base64')

async function authFile(t: TestContext, content: unknown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-auth-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'config.json')
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function search(files: readonly string[], overrides: Partial<CredentialSearch> = {}): CredentialSearch {
  return { files, isNamed: false, runCredentialHelper: null, onWarning: () => {}, ...overrides }
}

/** Puts `docker-credential-hive-test` first on the path for the time of the test. */
async function helperOnPath(t: TestContext, script: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-helper-'))
  const before = process.env['PATH']
  await writeFile(join(directory, 'docker-credential-hive-test'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  process.env['PATH'] = `${directory}:${before}`
  t.after(async () => {
    process.env['PATH'] = before
    await rm(directory, { recursive: true, force: true })
  })
}

describe('registry credentials', () => {
  it('are found under the registry’s name, however it is written', async (t) => {
    for (const key of ['reg.example:5000', 'https://reg.example:5000', 'https://reg.example:5000/v1/']) {
      const file = await authFile(t, { auths: { [key]: { auth: encode('ann:p:w') } } })
      const found = await findCredentials('reg.example:5000/a/b:1', search([file]), signal)
      assert.deepEqual(found.login, { username: 'ann', secret: 'p:w' }, key)
      assert.equal(found.source, file)
      assert.deepEqual(registryAuthHeader(found), {
        username: 'ann',
        password: 'p:w',
        serveraddress: 'reg.example:5000',
      })
    }
  })

  it('are not given to another registry', async (t) => {
    const file = await authFile(t, { auths: { 'reg.example': { auth: encode('ann:pw') } } })
    for (const image of ['evil.example/a', 'reg.example.evil/a', 'reg.example:5000/a', 'reg.example']) {
      const found = await findCredentials(image, search([file]), signal)
      assert.deepEqual([found.login, found.looked], [null, [file]], image)
      assert.equal(registryAuthHeader(found), null)
    }
  })

  it('of a repository win over those of its registry', async (t) => {
    const auths = { 'reg.example': { auth: encode('all:1') }, 'reg.example/team': { auth: encode('team:2') } }
    const file = await authFile(t, { auths })
    const of = async (image: string) => (await findCredentials(image, search([file]), signal)).login?.username
    assert.deepEqual([await of('reg.example/team/a:1'), await of('reg.example/other/a@sha256:ab')], ['team', 'all'])
  })

  it('of Docker Hub stand under its old address', async (t) => {
    const file = await authFile(t, { auths: { 'https://index.docker.io/v1/': { auth: encode('hub:pw') } } })
    for (const image of ['ubuntu', 'team/app:1', 'docker.io/library/ubuntu'])
      assert.equal((await findCredentials(image, search([file]), signal)).login?.username, 'hub', image)
  })

  it('come from the first file that has some', async (t) => {
    const empty = await authFile(t, { auths: {} })
    const first = await authFile(t, { auths: { r: {}, 'r.io': { username: 'one', password: 'x' } } })
    const second = await authFile(t, { auths: { 'r.io': { identitytoken: 'tok' } } })
    const found = await findCredentials('r.io/a', search(['/no/such/file', empty, first, second]), signal)
    assert.deepEqual([found.login?.username, found.source, found.looked], ['one', first, [empty]])
    const token = await findCredentials('r.io/a', search([second]), signal)
    assert.deepEqual(registryAuthHeader(token), { identitytoken: 'tok', serveraddress: 'r.io' })
  })

  it('a broken usual file is passed over with a warning that quotes nothing of it', async (t) => {
    const file = await authFile(t, '{"auths": planted')
    const warnings: string[] = []
    const onWarning = (message: string): number => warnings.push(message)
    assert.equal((await findCredentials('r.io/a', search([file], { onWarning }), signal)).login, null)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /config\.json is passed over: it is not JSON/)
    assert.doesNotMatch(warnings[0] ?? '', /planted/)
  })

  it('a file that the operator named must be there', async () => {
    const named = search(['/no/such/file'], { isNamed: true })
    await assert.rejects(findCredentials('r.io/a', named, signal), (error: Error) => {
      assert.ok(error instanceof LaunchRefused)
      assert.match(error.message, /\/no\/such\/file cannot be read: ENOENT/)
      return true
    })
  })

  it('come from the helper of the registry, else of the file', async (t) => {
    const asked: string[] = []
    const helper: CredentialSearch['runCredentialHelper'] = async (name, registry) => {
      asked.push(`${name} ${registry}`)
      return { username: name, secret: 's' }
    }
    const file = await authFile(t, { credHelpers: { 'own.io': 'own' }, credsStore: 'store', auths: { 'r.io': {} } })
    const of = async (image: string) =>
      (await findCredentials(image, search([file], { runCredentialHelper: helper }), signal)).login?.username
    assert.deepEqual([await of('own.io/a'), await of('r.io/a')], ['own', 'store'])
    assert.deepEqual(asked, ['own own.io', 'store r.io'])
  })

  it('a helper that fails is a warning, and the pull goes on without', async (t) => {
    const file = await authFile(t, { credsStore: 'gone' })
    const warnings: string[] = []
    const options = { runCredentialHelper, onWarning: (message: string) => void warnings.push(message) }
    const found = await findCredentials('r.io/a', search([file], options), signal)
    assert.equal(found.login, null)
    assert.match(warnings[0] ?? '', /helper "gone" failed: it ended with ENOENT/)
  })

  it('are looked for where docker and podman put them', () => {
    assert.deepEqual(usualAuthFiles('docker', '/h', 7), [
      '/h/.docker/config.json',
      '/run/user/7/containers/auth.json',
      '/run/containers/7/auth.json',
      '/h/.config/containers/auth.json',
    ])
    assert.equal(usualAuthFiles('podman', '/h', 7)[0], '/run/user/7/containers/auth.json')
    assert.deepEqual(usualAuthFiles('docker', null, null), [])
  })

  it('an image belongs to the registry that the engine would ask', () => {
    const pairs = {
      ubuntu: 'docker.io/library/ubuntu',
      'team/app:1': 'docker.io/team/app',
      'localhost/app:1': 'localhost/app',
      'localhost:5000/a/b:1': 'localhost:5000/a/b',
      'r.io/a@sha256:00': 'r.io/a',
      'r.io:443/a:1@sha256:00': 'r.io:443/a',
    }
    for (const [image, repository] of Object.entries(pairs)) assert.equal(repositoryOf(image), repository)
  })
})

describe('a credential helper', () => {
  it('is asked by stdin and answers by stdout', async (t) => {
    await helperOnPath(t, 'read registry; echo "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"for $registry\\"}"')
    const login = await runCredentialHelper('hive-test', 'r.io:5000', signal)
    assert.deepEqual(login, { username: 'ann', secret: 'for r.io:5000' })
  })

  it('that has nothing for the registry answers null', async (t) => {
    await helperOnPath(t, 'echo "credentials not found in native keychain"; exit 1')
    assert.equal(await runCredentialHelper('hive-test', 'r.io', signal), null)
  })

  it('that fails is an error without a word of what it printed', async (t) => {
    for (const script of ['echo planted; exit 3', 'echo planted >&2; exit 3', 'echo "{\\"Secret\\": planted"']) {
      await helperOnPath(t, script)
      await assert.rejects(runCredentialHelper('hive-test', 'r.io', signal), (error: Error) => {
        assert.doesNotMatch(inspect(error, { depth: 8, showHidden: true }), /planted/)
        return true
      })
    }
  })

  it('whose name is none is not run', async () => {
    await assert.rejects(runCredentialHelper('../x', 'r.io', signal), /its name is not one/)
    await assert.rejects(runCredentialHelper('a b', 'r.io', signal), /its name is not one/)
  })
})
