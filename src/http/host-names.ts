import type { HiveConfig } from '../settings.ts'

/** What a request's authority stands for. Only `control` and `cocoon` are ever served. */
export type HostClass =
  | { readonly kind: 'control' }
  /** Host mode: `label` is everything before the cocoon domain, not yet checked to be a name. */
  | { readonly kind: 'cocoon'; readonly label: string }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'malformed' }

export type HostConfig = Pick<HiveConfig, 'host' | 'publicUrl' | 'allowedHosts' | 'cocoonDomain'>

/** A host name or address with an optional port (RFC 9110 §7.2); no userinfo, list or path. */
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::\d{1,5})?$/
const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/
const UNSPECIFIED = new Set(['', '0.0.0.0', '::', '[::]'])

const CONTROL: HostClass = { kind: 'control' }
const FOREIGN: HostClass = { kind: 'foreign' }
const MALFORMED: HostClass = { kind: 'malformed' }

/**
 * Builds the allow-list against DNS rebinding: loopback names, the listener's own address, the public URL's host,
 * HIVE_ALLOWED_HOSTS and everything below the cocoon domain. An exact name wins over the cocoon domain.
 *
 * @returns  A function from an authority (`host` or `host:port`, any case) to what it stands for.
 */
export function hostNames(config: HostConfig): (authority: string) => HostClass {
  const control = controlNames(config)
  const suffix = config.cocoonDomain === null ? null : `.${config.cocoonDomain.toLowerCase()}`

  return (authority) => {
    const host = AUTHORITY.exec(authority.toLowerCase())?.[1]
    if (host === undefined) return MALFORMED
    if (control.has(host) || LOOPBACK_V4.test(host)) return CONTROL
    if (suffix !== null && host.endsWith(suffix)) return { kind: 'cocoon', label: host.slice(0, -suffix.length) }
    return FOREIGN
  }
}

function controlNames(config: HostConfig): ReadonlySet<string> {
  const names = new Set(['localhost', '[::1]'])
  if (!UNSPECIFIED.has(config.host)) names.add(bracketed(config.host.toLowerCase()))
  if (config.publicUrl !== null) names.add(new URL(config.publicUrl).hostname.toLowerCase())
  for (const name of config.allowedHosts) names.add(bracketed(name.toLowerCase()))
  return names
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
