import { isHiveCookie } from './cocoon-cookie.ts'
import { belowPrefix } from './location.ts'

/**
 * Makes a cocoon's `Set-Cookie` its own: no Domain, so that it cannot reach a sibling or the control pages, and in path
 * mode every Path below the prefix.
 *
 * @param prefix  The cocoon's prefix; `""` in host mode.
 * @returns       The field's new value; null = the cookie must not pass.
 */
export function confineCookie(value: string, prefix: string): string | null {
  const [pair = '', ...attributes] = value.split(';')
  const name = (pair.split('=', 1)[0] ?? '').trim()
  if (isHiveCookie(name)) return null
  // RFC 6265bis §4.1.3.2: such a cookie needs Path=/, which in path mode is everybody's path.
  if (prefix !== '' && name.toLowerCase().startsWith('__host-')) return null

  const kept: string[] = [pair]
  for (const attribute of attributes) {
    const text = confineAttribute(attribute, prefix)
    if (text !== null) kept.push(text)
  }
  return kept.join(';')
}

function confineAttribute(attribute: string, prefix: string): string | null {
  const equals = attribute.indexOf('=')
  const name = (equals === -1 ? attribute : attribute.slice(0, equals)).trim().toLowerCase()
  if (name === 'domain') return null
  if (name !== 'path' || prefix === '') return attribute
  const path = equals === -1 ? '' : attribute.slice(equals + 1).trim()
  // RFC 6265 §5.2.4: a path that does not start with a slash means the default path, which is below the prefix.
  return path.startsWith('/') ? ` Path=${belowPrefix(path, prefix)}` : null
}
