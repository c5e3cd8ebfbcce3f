import { MAX_DURATION_MS, type Reader } from './fields.ts'

const DURATION = /^([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)?$/
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE = /^([0-9]{1,15}(?:\.[0-9]{1,6})?)([bkmgt]?)$/i
const UNIT_BYTES = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** Milliseconds of `500ms`, `10s`, `5m`, `1h`, `7d`; a bare number counts seconds. null = not a duration. */
export function parseDurationMs(text: string): number | null {
  const [, amount, unit = 's'] = DURATION.exec(text) ?? []
  return amount === undefined ? null : Math.round(Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS])
}

/** Bytes of `512m`, `1.5g` (powers of 1,024; a bare number counts bytes). null = not a size. */
export function parseSizeBytes(text: string): number | null {
  const [, amount, unit = ''] = SIZE.exec(text) ?? []
  if (amount === undefined) return null
  const bytes = Math.round(Number(amount) * UNIT_BYTES[(unit.toLowerCase() || 'b') as keyof typeof UNIT_BYTES])
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** A duration in milliseconds, at least `leastMs`. JSON numbers count seconds. */
export function duration(leastMs: number, mostMs = MAX_DURATION_MS): Reader<number> {
  return (value, field, report) => {
    const ms = typeof value === 'string' || typeof value === 'number' ? parseDurationMs(String(value)) : null
    if (ms !== null && ms >= leastMs && ms <= mostMs) return ms
    const wrong = ms === null ? 'is not a duration' : 'is out of range'
    report.problem(
      field,
      wrong,
      `a duration such as "500ms", "10s", "5m" or "1h", from ${leastMs}ms to ${mostMs / 3_600_000}h`,
    )
    return undefined
  }
}

/** A size in bytes, at least `least`. */
export function size(least: number): Reader<number> {
  return (value, field, report) => {
    const bytes = typeof value === 'string' || typeof value === 'number' ? parseSizeBytes(String(value)) : null
    if (bytes !== null && bytes >= least) return bytes
    const wrong = bytes === null ? 'is not a size' : 'is too small'
    report.problem(field, wrong, `a size such as "512m" or "2g", at least ${least} bytes`)
    return undefined
  }
}
