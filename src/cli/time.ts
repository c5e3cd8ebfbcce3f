import { parseDurationMs } from '../kinds/quantities.ts'
import { usage } from './failure.ts'

/** `90s`, `2m`, `500ms`, `1h`; a bare number is seconds. @returns milliseconds. @throws CliFailure  usage. */
export function parseDuration(option: string, text: string): number {
  const ms = parseDurationMs(text)
  if (ms === null) throw usage(`${option} takes a time such as 60s, 2m or 500ms`)
  return ms
}

/** `0.4 s`, `12 s`, `3 min`. */
export function formatMs(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}
