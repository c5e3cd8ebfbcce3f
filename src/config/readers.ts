import { normalOrigin } from '../kinds/common-config.ts'
import { isPlainAbsolute } from '../kinds/host-paths.ts'
import { parseDurationMs } from '../kinds/quantities.ts'
import { Secret } from '../secret.ts'
import type { NumberRange } from '../settings.ts'
import { type SettingReader, wrongSetting } from './notes.ts'

export function wholeNumber(least: number, most: number): SettingReader<number> {
  return (text, name, notes) => {
    const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    return wrongSetting(name, 'is not such a number', `a whole number from ${least} to ${most}`, notes)
  }
}

/** `first-last`, both included. */
export function numberRange(least: number, most: number, example: string): SettingReader<NumberRange> {
  return (text, name, notes) => {
    const [, first, last] = /^([0-9]{1,10})-([0-9]{1,10})$/.exec(text) ?? []
    const range = { first: Number(first), last: Number(last) }
    if (range.first >= least && range.last <= most && range.first <= range.last) return range
    return wrongSetting(
      name,
      'is not such a range',
      `first-last between ${least} and ${most}, such as ${example}`,
      notes,
    )
  }
}

export function oneOf<const T extends string>(...choices: readonly T[]): SettingReader<T> {
  return (text, name, notes) =>
    choices.find((choice) => choice === text) ??
    wrongSetting(name, 'is not one of the choices', choices.join(', '), notes)
}

export const onOff: SettingReader<boolean> = (text, name, notes) => {
  const choice = oneOf('on', 'off')(text, name, notes)
  return choice === undefined ? undefined : choice === 'on'
}

/** A comma list; every wrong item is counted and reported by its place, since an item itself might be secret. */
export function listOf<T>(
  item: (text: string) => T | null,
  right: string,
  separator = /,/,
): SettingReader<readonly T[]> {
  return (text, name, notes) => {
    const items = text.split(separator).map((part) => part.trim())
    const read = items.filter((part) => part !== '').map(item)
    const wrong = read.flatMap((value, index) => (value === null ? [index + 1] : []))
    for (const place of wrong) wrongSetting(name, `has a wrong item in place ${place}`, right, notes)
    return wrong.length > 0 ? undefined : read.filter((value) => value !== null)
  }
}

/** A host name or address as a browser would put it into `Host`, lower case, without a port. null = it is none. */
export function hostName(text: string): string | null {
  if (!/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])$/.test(text) || !URL.canParse(`http://${text}/`)) return null
  const labels = text.startsWith('[') ? [] : text.split('.')
  return labels.every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
    ? text.toLowerCase()
    : null
}

/** One item read by a function that knows right from wrong. */
export function textBy<T>(read: (text: string) => T | null, right: string): SettingReader<T> {
  return (text, name, notes) => read(text) ?? wrongSetting(name, 'does not have the right form', right, notes)
}

export const origin = textBy(
  (text) => normalOrigin(text.endsWith('/') ? text.slice(0, -1) : text),
  'scheme, host and port alone, such as "https://hive.example:8443"',
)

export const absolutePath = textBy((text) => plainPath(text), 'an absolute path such as /var/lib/hive')

/** An absolute path, a slash at its end taken away; null = it is none. */
export function plainPath(text: string): string | null {
  const path = text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text
  return isPlainAbsolute(path) ? path : null
}

const KEEP_AT_MOST_MS = 10 * 365 * 86_400_000

/** `off` → null, else a duration in milliseconds, at least a second. */
export const offOrDuration: SettingReader<{ readonly ms: number | null }> = (text, name, notes) => {
  const ms = text === 'off' ? null : (parseDurationMs(text) ?? Number.NaN)
  if (ms === null || (ms >= 1000 && ms <= KEEP_AT_MOST_MS)) return { ms }
  return wrongSetting(
    name,
    'is neither off nor a duration',
    'off, or a duration from 1s to 10 years such as 24h',
    notes,
  )
}

const DAY_MS = 86_400_000

/** A duration in milliseconds, from a second to a day. */
export const shortDuration: SettingReader<number> = (text, name, notes) => {
  const ms = parseDurationMs(text) ?? Number.NaN
  if (ms >= 1000 && ms <= DAY_MS) return ms
  return wrongSetting(name, 'is not such a duration', 'a duration from 1s to 24h such as 10m', notes)
}

/** A secret of printable ASCII without blanks, as an HTTP header can carry it. */
export function secret(leastCharacters: number): SettingReader<Secret> {
  return (text, name, notes) => {
    if (/^[\x21-\x7e]{1,4096}$/.test(text) && text.length >= leastCharacters) return new Secret(text)
    return wrongSetting(
      name,
      'is not a usable secret',
      `at least ${leastCharacters} printable ASCII characters, no blanks`,
      notes,
    )
  }
}

const KEY_BYTES = 32

/** A key of 32 bytes written as hex, base64 or base64url; kept as 64 lower-case hex digits. */
export const key: SettingReader<Secret> = (text, name, notes) => {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return new Secret(text.toLowerCase())
  const bytes = /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  if (bytes.length === KEY_BYTES) return new Secret(bytes.toString('hex'))
  return wrongSetting(name, 'is not a key', `${KEY_BYTES} bytes as 64 hex digits or as base64`, notes)
}

/** A WebSocket URL, kept as written: cocoons get it word for word. */
export const webSocketUrl = textBy(
  (text) => (URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol) && new URL(text).hash === '' ? text : null),
  'a URL that starts with ws:// or wss://',
)
