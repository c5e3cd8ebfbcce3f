import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { Secret } from '../../src/secret.ts'
import { openStateDirectory, StateDirectoryError } from '../../src/services/table/state-directory.ts'
import { tempDirectory } from '../support/temp-directory.ts'

async function fresh(t: TestContext): Promise<string> {
  return join(await tempDirectory(t), 'state', 'hive')
}

const open = (path: string, given: { token?: Secret; masterKey?: Secret } = {}) =>
  openStateDirectory({ path, token: given.token ?? null, masterKey: given.masterKey ?? null })

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

describe('the state directory', () => {
  it('is made with its parents, closed to others, and its files readable by the owner alone', async (t) => {
    const path = await fresh(t)
    const state = await open(path)
    assert.equal(await mode(path), '700')
    for (const file of ['instance_id', 'key', 'token']) assert.equal(await mode(join(path, file)), '600', file)
    assert.match(state.instanceId, /^[0-9a-f]{16}$/)
    assert.equal(state.masterKey.length, 32)
    assert.match(state.token.reveal(), /^[A-Za-z0-9_-]{43}$/)
    assert.equal(state.tokenFile, join(path, 'token'))
    assert.equal(inspect(state.token).includes(state.token.reveal()), false)
  })

  it('is closed to others if it was open before', async (t) => {
    const path = await fresh(t)
    await mkdir(path, { recursive: true })
    await chmod(path, 0o755)
    await open(path)
    assert.equal(await mode(path), '700')
  })

  it('takes back what others may read in a file that was copied in carelessly', async (t) => {
    const path = await fresh(t)
    await open(path)
    for (const file of ['instance_id', 'key', 'token']) await chmod(join(path, file), 0o644)
    await open(path)
    for (const file of ['instance_id', 'key', 'token']) assert.equal(await mode(join(path, file)), '600', file)
  })

  it('is made once: a second opening finds the same values and leaves no other files', async (t) => {
    const path = await fresh(t)
    const [one, two] = [await open(path), await open(path)]
    assert.deepEqual(
      [two.instanceId, two.masterKey, two.token.reveal()],
      [one.instanceId, one.masterKey, one.token.reveal()],
    )
    assert.deepEqual(
      (await readdir(path)).sort((a, b) => (a < b ? -1 : 1)),
      ['instance_id', 'key', 'token'],
    )
  })

  it('F12: many openings at once all find one value, and the files hold that value', async (t) => {
    for (let round = 0; round < 10; round++) {
      const path = await fresh(t)
      const states = await Promise.all(Array.from({ length: 8 }, () => open(path)))
      const seen = states.map(({ instanceId, masterKey, token }) => [
        instanceId,
        masterKey.toString('hex'),
        token.reveal(),
      ])
      const files = ['instance_id', 'key', 'token'].map((file) => readFile(join(path, file), 'utf8'))
      const held = (await Promise.all(files)).map((text) => text.trim())
      for (const values of seen) assert.deepEqual(values, held)
      assert.equal((await readdir(path)).length, 3)
    }
  })

  it('F11: a damaged file is refused with advice, never replaced', async (t) => {
    for (const [file, content] of [
      ['key', 'abc'],
      ['instance_id', '../../../etc'],
      ['token', 'short'],
      ['token', `${'x'.repeat(20)}\n${'y'.repeat(20)}`],
    ] as const) {
      const path = await fresh(t)
      await open(path)
      await writeFile(join(path, file), content)
      await assert.rejects(open(path), (error) => {
        assert.ok(error instanceof StateDirectoryError)
        assert.match(error.message, new RegExp(`${file} is damaged: restore`))
        return true
      })
      assert.equal(await readFile(join(path, file), 'utf8'), content)
    }
  })

  it('uses HIVE_TOKEN and HIVE_MASTER_KEY instead of files when they are given', async (t) => {
    const path = await fresh(t)
    const raw = Buffer.alloc(32, 9)
    const state = await open(path, {
      token: new Secret('given-token-0123456789'),
      masterKey: new Secret(raw.toString('base64')),
    })
    assert.equal(state.token.reveal(), 'given-token-0123456789')
    assert.equal(state.tokenFile, null)
    assert.deepEqual(state.masterKey, raw)
    assert.deepEqual(await readdir(path), ['instance_id'])
    const hex = await open(path, { masterKey: new Secret(raw.toString('hex')) })
    assert.deepEqual(hex.masterKey, raw)
  })

  it('refuses a master key that is not 32 bytes long, without repeating it', async (t) => {
    for (const text of ['', 'planted', Buffer.alloc(16, 1).toString('hex'), Buffer.alloc(33, 1).toString('base64')])
      await assert.rejects(open(await fresh(t), { masterKey: new Secret(text) }), (error) => {
        assert.ok(error instanceof StateDirectoryError)
        assert.match(error.message, /HIVE_MASTER_KEY/)
        if (text !== '') assert.equal(inspect(error).includes(text), false)
        return true
      })
  })

  it('says what to do when it cannot be made', async (t) => {
    const path = join(await tempDirectory(t), 'file')
    await writeFile(path, '')
    await assert.rejects(
      open(path),
      (error) => error instanceof StateDirectoryError && /HIVE_STATE_DIR/.test(error.message),
    )
    await assert.rejects(open(join(path, 'below')), StateDirectoryError)
  })
})
