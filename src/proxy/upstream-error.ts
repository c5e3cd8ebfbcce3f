import { HiveError } from '../errors.ts'
import { overloaded } from '../http/connections.ts'

const NO_DESCRIPTORS = new Set(['EMFILE', 'ENFILE'])
const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'])

/** What a failed dial or a broken answer means to the client. The cause stays out: it names internal addresses. */
export function upstreamError(error: Error & { readonly code?: string }): HiveError {
  if (NO_DESCRIPTORS.has(error.code ?? '')) return overloaded()
  return TIMEOUTS.has(error.code ?? '') ? upstreamTimeout() : unreachable()
}

export function unreachable(): HiveError {
  return new HiveError('HIVE_UPSTREAM_UNREACHABLE', 'The cocoon refused the connection or broke off its answer.')
}

export function upstreamTimeout(): HiveError {
  return new HiveError('HIVE_UPSTREAM_TIMEOUT', 'The cocoon did not answer in time.')
}
