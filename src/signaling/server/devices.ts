import { createHmac, randomBytes } from 'node:crypto'
import { shown } from '../frame.ts'
import { BadMessage } from './fields.ts'
import type { Peer } from './peer.ts'

export interface Device {
  readonly deviceId: string
  readonly owner: string | null
  readonly name: string | null
}

const WEAK_WORDS = /password|secret|admin|12345|qwerty|test|example/i
const LOCAL_OWNER = 'local'

/** The cocoons that have registered here. */
export class Devices {
  readonly #salt: Buffer
  readonly #say: (line: string) => void
  readonly #online = new Map<string, Device>()

  constructor(salt: Buffer, say: (line: string) => void) {
    this.#salt = salt
    this.#say = say
  }

  get online(): readonly Device[] {
    return [...this.#online.values()]
  }

  newSetupToken(): string {
    return randomBytes(24).toString('base64url')
  }

  /**
   * The same secret always gives the same device id.
   * @param setupToken  gives the owner: the `sub` of a token in three dotted parts, else the one local user.
   * @throws BadMessage  a weak secret, or a device id that is another's.
   */
  register(peer: Peer, given: { secret: string; deviceId?: string; setupToken?: string; name?: string }): Device {
    checkSecret(given.secret)
    const deviceId = createHmac('sha256', this.#salt).update(given.secret).digest('hex')
    if (given.deviceId !== undefined && given.deviceId !== deviceId)
      throw new BadMessage('device_id does not match the secret')
    const owner = given.setupToken === undefined ? null : ownerOf(given.setupToken)
    const device = { deviceId, owner, name: given.name ?? null }
    peer.role = 'cocoon'
    peer.deviceId = deviceId
    this.#online.set(deviceId, device)
    this.#say(`cocoon ${shown(device.name ?? deviceId)} registered (owner ${owner ?? 'none'})`)
    return device
  }

  remove(peer: Peer, how: string): void {
    const { deviceId } = peer
    if (deviceId === null) return
    peer.deviceId = null
    const name = this.#online.get(deviceId)?.name ?? deviceId
    if (this.#online.delete(deviceId)) this.#say(`cocoon ${shown(name)} ${how}`)
  }
}

function checkSecret(secret: string): void {
  const wrong =
    (secret.length < 32 && 'is shorter than 32 characters') ||
    (/^\d+$/.test(secret) && 'is digits only') ||
    (/^[a-z]+$/.test(secret) && 'is lower-case letters only') ||
    (new Set(secret).size < 10 && 'has fewer than 10 distinct characters') ||
    (WEAK_WORDS.test(secret) && 'contains a weak word')
  if (wrong) throw new BadMessage(`the secret ${wrong}`)
}

/** Tokens are not verified here: this server is for one user on one machine. */
function ownerOf(token: string): string {
  const [, payload, signature] = token.split('.')
  if (payload === undefined || signature === undefined) return LOCAL_OWNER
  try {
    const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { sub?: unknown }
    return typeof sub === 'string' && sub !== '' ? shown(sub) : LOCAL_OWNER
  } catch {
    return LOCAL_OWNER // not a JWT after all
  }
}
