import { createHmac } from 'node:crypto'
import type { Secret } from '../secret.ts'

/** Lower-case hex of HMAC-SHA256 over the hive id: the same each time, so only TLS keeps others from replaying it. */
export function signHiveId(secret: Secret, hiveId: string): string {
  return createHmac('sha256', secret.reveal()).update(hiveId, 'utf8').digest('hex')
}
