import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../secret.ts'
import { signHiveId } from '../signature.ts'
import { Devices } from './devices.ts'
import { requireTexts } from './fields.ts'
import { Hub, type HubHive } from './hub.ts'
import type { Peer } from './peer.ts'

/** Everything a message handler may touch. */
export class Room {
  readonly hub: Hub
  readonly devices: Devices
  readonly #secret: Secret
  readonly #say: (line: string) => void

  constructor(secret: Secret, say: (line: string) => void) {
    this.#secret = secret
    this.#say = say
    this.hub = new Hub(say)
    this.devices = new Devices(randomBytes(32), say)
  }

  /** The hive of a registration; null if its signature is wrong. @throws BadMessage  a field is missing. */
  readHive(peer: Peer, body: Readonly<Record<string, unknown>>, kinds: HubHive['kinds']): HubHive | null {
    requireTexts(body, 'hive_id', 'version', 'hive_id_signature')
    const { hive_id, version, hive_id_signature } = body as Readonly<Record<string, string>>
    if (!this.#isSigned(String(hive_id), String(hive_id_signature))) {
      this.#say('a hive was refused: its signature is wrong')
      return null
    }
    peer.role = 'hive'
    const connectedAt = new Date().toISOString()
    return { peer, hiveId: String(hive_id), version: String(version), connectedAt, kinds }
  }

  #isSigned(hiveId: string, signature: string): boolean {
    const expected = Buffer.from(signHiveId(this.#secret, hiveId))
    const given = Buffer.from(signature)
    return given.length === expected.length && timingSafeEqual(given, expected)
  }
}
