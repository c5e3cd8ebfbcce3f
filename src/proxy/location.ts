/** What a redirect's target may name as its own. */
export interface OwnOrigins {
  /** `""` in host mode. */
  readonly prefix: string
  /** The authority the client used. */
  readonly authority: string
  /** The address Hive dialled, `host:port`: internal, meaningless to the client. */
  readonly upstream: string
  /** The ports that the cocoon may take for its own: the one Hive dialled, and the one inside a container. */
  readonly ports: readonly number[]
}

const HOST_AND_PORT = /^(.*?)(?::(\d{1,5}))?$/s
const ABSOLUTE = /^(https?:)?\/\/([^/?#\\]*)(.*)$/is

/**
 * Maps a `Location` that points at the cocoon itself to the address the client uses, exactly once.
 *
 * Paths and absolute forms of the client's or the dialled authority, or of the client's name with the cocoon's port, are
 * mapped; relative references and foreign origins stay as they are.
 */
export function mapLocation(location: string, own: OwnOrigins): string {
  const absolute = ABSOLUTE.exec(location)
  if (absolute === null) return location.startsWith('/') ? belowPrefix(location, own.prefix) : location
  const [, scheme = '', authority = '', rest = ''] = absolute
  const path = rest.startsWith('/') ? rest : `/${rest}`
  const host = authority.toLowerCase()
  if (host === own.upstream.toLowerCase()) return belowPrefix(path, own.prefix)
  // The scheme stays: an app that insists on https would be sent in a circle otherwise.
  if (host === own.authority.toLowerCase()) return `${scheme}//${authority}${belowPrefix(path, own.prefix)}`
  if (isOwnPort(scheme, host, own)) return belowPrefix(path, own.prefix)
  return location
}

/**
 * Some servers (nginx, Tomcat) build the address from the name the client used and the port they listen on. Nobody
 * outside reaches that port, or reaches it past Hive.
 */
function isOwnPort(scheme: string, host: string, own: OwnOrigins): boolean {
  if (scheme.toLowerCase() === 'https:') return false
  const [, name, port = '80'] = HOST_AND_PORT.exec(host) ?? []
  const [, ownName] = HOST_AND_PORT.exec(own.authority.toLowerCase()) ?? []
  return name === ownName && own.ports.includes(Number(port))
}

/** Puts an absolute path below the prefix unless it already is. */
export function belowPrefix(path: string, prefix: string): string {
  if (prefix === '' || isBelow(path, prefix)) return path
  return prefix + path
}

function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  const next = path[prefix.length]
  return next === undefined || next === '/' || next === '?' || next === '#'
}
