import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { HiveError } from '../../errors.ts'
import { Secret } from '../../secret.ts'

/** What a service needs again at a restart and nobody may read: kept only sealed. */
export interface ServiceSecrets {
  /** Values of the kind's `environment`, placeholders not yet filled in. */
  readonly kindEnvironment: Readonly<Record<string, string>>
  /** Values of the spawn request's `environment`, never expanded. */
  readonly requestEnvironment: Readonly<Record<string, string>>
  /** Values of `vars` of the kind's `expose`, placeholders not yet filled in; absent = it exposes none. */
  readonly exposedVars?: Readonly<Record<string, string>>
  readonly setupToken: string | null
  readonly cocoonSecret: string
}

export interface Vault {
  /** AES-256-GCM; the service id is authenticated with it, so a blob moved to another row does not open. */
  seal(id: string, secrets: ServiceSecrets): Uint8Array
  /** @throws HIVE_SECRETS_LOST  the key is not the one it was sealed with. */
  open(id: string, sealed: Uint8Array): ServiceSecrets
  /** Hex HMAC-SHA256 under a key of its own, for comparing things that must not be stored. */
  hmac(text: string): string
}

const FORMAT = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** @param masterKey  32 random bytes; sub-keys are derived with HKDF (RFC 5869). */
export function createVault(masterKey: Buffer): Vault {
  const sealKey = derive(masterKey, 'hive seal v1')
  const hmacKey = derive(masterKey, 'hive hmac v1')
  return {
    seal(id, secrets) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealKey, nonce).setAAD(Buffer.from(id))
      const body = Buffer.concat([cipher.update(JSON.stringify(secrets), 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), body])
    },
    open(id, sealed) {
      try {
        return unseal(sealKey, id, Buffer.from(sealed))
      } catch (cause) {
        throw new HiveError(
          'HIVE_SECRETS_LOST',
          'the key in the state directory is not the one this service was stored with: spawn it again',
          { cause },
        )
      }
    },
    hmac: (text) => createHmac('sha256', hmacKey).update(text).digest('hex'),
  }
}

function derive(masterKey: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', masterKey, '', info, 32))
}

function unseal(key: Buffer, id: string, blob: Buffer): ServiceSecrets {
  if (blob[0] !== FORMAT) throw new Error('unknown seal format')
  const nonce = blob.subarray(1, 1 + NONCE_BYTES)
  const tag = blob.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(id)).setAuthTag(tag)
  const text = Buffer.concat([decipher.update(blob.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()])
  return JSON.parse(text.toString('utf8')) as ServiceSecrets
}

const WEAK_WORDS = /password|secret|admin|12345|qwerty|test|example/i

/**
 * A fresh COCOON_SECRET: 48 characters of `[A-Za-z0-9_-]`. A random one that happens to hold a word which signaling
 * servers refuse, or too few distinct characters, is rolled again.
 */
export function newCocoonSecret(): Secret {
  for (;;) {
    const secret = randomBytes(36).toString('base64url')
    if (!WEAK_WORDS.test(secret) && new Set(secret).size >= 10) return new Secret(secret)
  }
}
