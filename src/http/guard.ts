import type { IncomingMessage } from 'node:http'
import { HiveError } from '../errors.ts'
import { refuseRaw } from './raw-guard.ts'
import type { ReadTarget } from './request-target.ts'

/**
 * Builds the check that every request passes before routing has an effect: sound framing, then a host that is served
 * here. The second is the defence against DNS rebinding, where a foreign name points a browser at this address.
 *
 * @returns  A function that gives the refusal or null.
 */
export function requestGuard(readTarget: ReadTarget): (req: IncomingMessage) => HiveError | null {
  return (req) => refuseRaw(req) ?? refuseHost(req, readTarget)
}

function refuseHost(req: IncomingMessage, readTarget: ReadTarget): HiveError | null {
  switch (readTarget(req).host.kind) {
    case 'malformed':
      return new HiveError('HIVE_REQUEST_INVALID', 'The Host field must be a host name and an optional port.')
    case 'foreign':
      return new HiveError('HIVE_HOST_REFUSED', 'This host name is not served here; HIVE_ALLOWED_HOSTS adds names.')
    default:
      return null
  }
}
