import { parseDurationMs } from '../kinds/quantities.ts'

/** With a unit: a bare number could be seconds, a year or a time since 1970. */
const AGO = /^[0-9.]+(?:ms|s|m|h|d)$/
/** RFC 3339; a blank may stand for the T, and a + in a query arrives as a blank. */
const TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+ -]\d{2}:\d{2}))?$/i

export const SINCE_FORMS = 'a time such as 2026-01-31T12:00:00Z or 2026-01-31 (UTC), or how long ago, such as 10m or 2h'

/**
 * Reads from when on lines are wanted: `10m` = the last ten minutes, or a time.
 *
 * @param now  milliseconds.
 * @returns milliseconds; null = neither.
 */
export function parseSince(text: string, now: number): number | null {
  if (AGO.test(text)) {
    const ago = parseDurationMs(text)
    return ago === null ? null : now - ago
  }
  const [, day, clock = '00:00', zone = 'Z'] = TIME.exec(text) ?? []
  if (day === undefined) return null
  const ms = Date.parse(`${day}T${clock}${zone.toUpperCase().replace(' ', '+')}`)
  return Number.isNaN(ms) ? null : ms
}
