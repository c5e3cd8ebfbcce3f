import type { Generation } from './dialect.ts'

const ROLE = 'kind'

/** The role a URL gives to whoever connects with it (`?kind=hive|cocoon|app`, generation 2 only); null = none. */
export function roleIn(url: string): string | null {
  return new URL(url).searchParams.get(ROLE)
}

/** The URL that Hive itself connects to: generation 2 takes the role from it, and treats one without as an app. */
export function hiveUrl(url: string, generation: Generation): string {
  if (generation === 1 || roleIn(url) === 'hive') return url
  const bare = withoutRole(url, () => true)
  return `${bare}${bare.includes('?') ? '&' : '?'}${ROLE}=hive`
}

/**
 * The URL for cocoons: the same text without Hive's own role. A cocoon appends its own, and a server of generation 2
 * refuses two of them.
 */
export function cocoonUrl(url: string): string {
  return withoutRole(url, (role) => role === 'hive')
}

/** A URL as it may be logged: without credentials and without the query, where people put secrets. */
export function shownUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** Cuts role parameters out of the text and leaves every other character as it was written. */
function withoutRole(url: string, isUnwanted: (role: string) => boolean): string {
  const [address = '', query] = split(url, '?')
  if (query === undefined) return url
  const kept = query.split('&').filter((pair) => {
    const [[name, value] = ['', '']] = new URLSearchParams(pair)
    return name !== ROLE || !isUnwanted(value)
  })
  return kept.length === 0 ? address : `${address}?${kept.join('&')}`
}

function split(text: string, separator: string): readonly [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
