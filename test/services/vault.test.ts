import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { isHiveError } from '../../src/errors.ts'
import { createVault, newCocoonSecret, type ServiceSecrets } from '../../src/services/table/vault.ts'

const secrets: ServiceSecrets = {
  kindEnvironment: { A: 'one', EMPTY: '', ü: '\u0001\n"' },
  requestEnvironment: { B: 'planted-in-request' },
  setupToken: 'planted-token',
  cocoonSecret: 'planted-secret',
}

const lost = (error: unknown) => {
  assert.ok(isHiveError(error, 'HIVE_SECRETS_LOST'), inspect(error))
  assert.equal(/planted/.test(inspect(error, { depth: 9 })), false, 'an error never holds what was sealed')
  return true
}

describe('the vault', () => {
  it('gives back what was sealed, under a fresh nonce each time, and shows nothing of it', () => {
    const vault = createVault(randomBytes(32))
    const id = randomUUID()
    const [one, two] = [vault.seal(id, secrets), vault.seal(id, secrets)]
    assert.deepEqual(vault.open(id, one), secrets)
    assert.notDeepEqual(one, two)
    assert.equal(/planted/.test(Buffer.from(one).toString('latin1')), false)
  })

  it('opens for another vault with the same key, as after a restart', () => {
    const key = randomBytes(32)
    const id = randomUUID()
    const sealed = createVault(key).seal(id, secrets)
    assert.deepEqual(createVault(Buffer.from(key)).open(id, new Uint8Array(sealed)), secrets)
    assert.equal(createVault(key).hmac('x'), createVault(key).hmac('x'))
  })

  it('says HIVE_SECRETS_LOST under another key', () => {
    const id = randomUUID()
    const sealed = createVault(randomBytes(32)).seal(id, secrets)
    assert.throws(() => createVault(randomBytes(32)).open(id, sealed), lost)
  })

  it('does not open a blob that was moved to another row', () => {
    const vault = createVault(randomBytes(32))
    const sealed = vault.seal(randomUUID(), secrets)
    assert.throws(() => vault.open(randomUUID(), sealed), lost)
  })

  it('does not open a blob of which any byte was changed, cut off or added', () => {
    const vault = createVault(randomBytes(32))
    const id = randomUUID()
    const sealed = Buffer.from(vault.seal(id, secrets))
    for (let at = 0; at < sealed.length; at++) {
      const torn = Buffer.from(sealed)
      torn[at] = (torn[at] ?? 0) ^ 1
      assert.throws(() => vault.open(id, torn), lost, `byte ${at}`)
    }
    for (const length of [0, 1, 12, 28, 29, sealed.length - 1])
      assert.throws(() => vault.open(id, sealed.subarray(0, length)), lost, `cut to ${length}`)
    assert.throws(() => vault.open(id, Buffer.concat([sealed, Buffer.of(0)])), lost)
  })

  it('makes HMACs that depend on the key and on every character', () => {
    const vault = createVault(randomBytes(32))
    assert.match(vault.hmac('a'), /^[0-9a-f]{64}$/)
    assert.notEqual(vault.hmac('a'), vault.hmac('b'))
    assert.notEqual(vault.hmac('a'), createVault(randomBytes(32)).hmac('a'))
  })
})

it('newCocoonSecret: keeps every rule of signaling servers, a thousand times over', () => {
  const seen = new Set<string>()
  for (let n = 0; n < 1_000; n++) {
    const secret = newCocoonSecret()
    assert.equal(inspect(secret).includes(secret.reveal()), false)
    const text = secret.reveal()
    seen.add(text)
    assert.match(text, /^[A-Za-z0-9_-]{48}$/)
    assert.equal(/^\d+$|^[a-z]+$|^(.)\1+$/.test(text), false)
    assert.equal(/password|secret|admin|12345|qwerty|test|example/i.test(text), false)
    assert.ok(new Set(text).size >= 10)
  }
  assert.equal(seen.size, 1_000)
})
