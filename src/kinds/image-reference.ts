import type { Reader } from './fields.ts'

/** The parts of an image reference, as the grammar of the OCI distribution project names them. */
export interface ImageReference {
  /** Registry host with its port, or null = the engine's default registry. */
  readonly domain: string | null
  readonly path: string
  readonly tag: string | null
  readonly digest: string | null
}

const MAX_NAME = 255
const MAX_REFERENCE = 512
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/
const IPV6 = /^\[[0-9a-fA-F:.]{2,45}\]$/
const RIGHT =
  'an image reference such as "ubuntu", "registry.example:5000/team/app:1.2" or "app@sha256:<64 hex digits>"'

/** Reads an image reference, or says what is wrong with it; the answer does not quote the text. */
export function parseImageReference(text: string): ImageReference | string {
  const plain = plainFault(text)
  if (plain !== null) return plain
  const [beforeDigest = '', digest, more] = text.split('@')
  if (more !== undefined) return 'has more than one @'
  if (digest !== undefined && !DIGEST.test(digest))
    return 'has a digest that is not <algorithm>:<at least 32 hex digits>'
  const slash = beforeDigest.lastIndexOf('/')
  const colon = beforeDigest.indexOf(':', slash + 1)
  const name = colon === -1 ? beforeDigest : beforeDigest.slice(0, colon)
  const tag = colon === -1 ? null : beforeDigest.slice(colon + 1)
  if (tag !== null && !TAG.test(tag)) return 'has a tag that is not 1 to 128 letters, digits, _, . or -'
  const named = splitName(name)
  return typeof named === 'string' ? named : { ...named, tag, digest: digest ?? null }
}

/** An image reference, kept as written. */
export const imageReference: Reader<string> = (value, field, report) => {
  const fault = typeof value === 'string' ? parseImageReference(value) : 'is not a string'
  if (typeof fault !== 'string') return value as string
  report.problem(field, fault, RIGHT)
  return undefined
}

/** Faults that people make, said plainly before the grammar has its say. */
function plainFault(text: string): string | null {
  if (text === '') return 'is empty'
  if (text.length > MAX_REFERENCE) return `is longer than ${MAX_REFERENCE} characters`
  if (/\s/.test(text)) return 'has a blank in it'
  if (text.startsWith('-')) return 'starts with - like an option'
  if (!/^[\x21-\x7e]+$/.test(text)) return 'has a character that is not ASCII'
  return null
}

/** The first component is a registry if it looks like a host: a dot, a port, an upper-case letter, or `localhost`. */
function splitName(name: string): Pick<ImageReference, 'domain' | 'path'> | string {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : name.slice(0, slash)
  const isDomain = slash !== -1 && (/[.:[A-Z]/.test(first) || first === 'localhost')
  const domain = isDomain ? first : null
  const path = isDomain ? name.slice(slash + 1) : name
  if (name.length > MAX_NAME) return `has a name longer than ${MAX_NAME} characters`
  if (domain !== null && !isRegistryHost(domain)) return 'has a registry that is not a host name with an optional port'
  if (/[A-Z]/.test(path)) return 'has an upper-case letter in its repository name'
  if (!path.split('/').every((component) => COMPONENT.test(component)))
    return 'has a repository name that is not lower-case letters and digits, joined by . _ - or /'
  return { domain, path }
}

function isRegistryHost(domain: string): boolean {
  const port = /:([0-9]{1,5})$/.exec(domain)
  const host = port === null ? domain : domain.slice(0, port.index)
  if (port !== null && Number(port[1]) > 65_535) return false
  return IPV6.test(host) || host.split('.').every((label) => LABEL.test(label))
}
