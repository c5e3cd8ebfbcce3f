import { HiveError } from '../errors.ts'
import type { RequestTarget } from '../http/request-target.ts'

/** A cocoon's address as the client wrote it, cut on raw bytes and never decoded. */
export interface CocoonAddress {
  readonly mode: 'path' | 'host'
  readonly name: string
  /** The port named in the address; null = the exposed one. */
  readonly port: number | null
  /** `/cocoons/<name>[:port]` as written, without a trailing slash; `""` in host mode. */
  readonly prefix: string
  /** Path and query below the prefix, byte for byte; `""` or `?…` when the slash after the name is missing. */
  readonly rest: string
}

const NAME = '[a-z0-9](?:[a-z0-9-]{0,54}[a-z0-9])?'
/** `cocoons:` is read as the start of a full name first, so port 80 of one named cocoons is `cocoons:cocoons:80`. */
const SEGMENT = new RegExp(`^(?:cocoons:)?(${NAME})(?::(\\d{1,5}))?$`)
const LABEL = new RegExp(`^(?:(\\d{1,5})--)?(${NAME})$`)
const COCOONS = '/cocoons/'

/**
 * Reads the cocoon's address out of a request target.
 *
 * @throws HIVE_NOT_FOUND        the target is not below `/cocoons/` or a cocoon's host.
 * @throws HIVE_REQUEST_INVALID  the name is not written literally, or the path could be read in two ways.
 */
export function readAddress(target: RequestTarget): CocoonAddress {
  if (target.path === null) throw new HiveError('HIVE_REQUEST_INVALID', 'The request target must be a path.')
  const address = target.host.kind === 'cocoon' ? hostAddress(target.host.label, target.path) : pathAddress(target.path)
  checkRest(address.rest)
  return address
}

function hostAddress(label: string, path: string): CocoonAddress {
  const match = LABEL.exec(label)
  const name = match?.[2]
  if (name === undefined || name.includes('--')) throw nameError()
  return { mode: 'host', name, port: portNumber(match?.[1]), prefix: '', rest: path }
}

function pathAddress(path: string): CocoonAddress {
  if (!path.startsWith(COCOONS)) throw new HiveError('HIVE_NOT_FOUND', 'There is nothing at this address.')
  const end = segmentEnd(path)
  const match = SEGMENT.exec(path.slice(COCOONS.length, end))
  const name = match?.[1]
  if (name === undefined || name.includes('--')) throw nameError()
  return { mode: 'path', name, port: portNumber(match?.[2]), prefix: path.slice(0, end), rest: path.slice(end) }
}

function segmentEnd(path: string): number {
  for (let i = COCOONS.length; i < path.length; i += 1) {
    const char = path[i]
    if (char === '/' || char === '?' || char === '#') return i
  }
  return path.length
}

function portNumber(digits: string | undefined): number | null {
  return digits === undefined ? null : Number(digits)
}

function nameError(): HiveError {
  return new HiveError(
    'HIVE_REQUEST_INVALID',
    'The name of the cocoon must stand in the address as it is: lower-case letters, digits and single hyphens.',
  )
}

/** Printable ASCII without `#`: a fragment never belongs in a target (RFC 9112 §3.2), other bytes must be encoded. */
const UNSAFE = /[^!"$-~]/
const ENCODED_DOT = /%2e/gi
const SEPARATOR = /%2f|%5c|\\/gi

function checkRest(rest: string): void {
  if (UNSAFE.test(rest)) {
    throw new HiveError('HIVE_REQUEST_INVALID', 'The address holds a character that must be percent-encoded.')
  }
  const query = rest.indexOf('?')
  const path = query === -1 ? rest : rest.slice(0, query)
  const encoded = path.includes('%')
  if (encoded && !decodes(path)) {
    throw new HiveError('HIVE_REQUEST_INVALID', 'The address holds a broken percent-encoding.')
  }
  if ((encoded || path.includes('..')) && climbs(path)) {
    throw new HiveError('HIVE_REQUEST_INVALID', 'The address holds a ".." segment.')
  }
}

function decodes(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false // The only thing decodeURIComponent throws is a URIError for malformed UTF-8 or hex.
  }
}

/** True if any reader could find a `..` segment: encoded once, with backslashes, or with a `;parameter`. */
function climbs(path: string): boolean {
  const plain = path.replace(ENCODED_DOT, '.').replace(SEPARATOR, '/')
  return plain.split('/').some((segment) => segment === '..' || segment.startsWith('..;'))
}
