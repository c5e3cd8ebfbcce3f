/** One thing that was looked at. `bad` = Hive or some kinds will not work; `warn` = worth knowing. */
export interface Finding {
  readonly area: 'settings' | 'node' | 'state' | 'disk' | 'table' | 'port' | 'runner' | 'kind' | 'limits'
  readonly level: 'ok' | 'warn' | 'bad'
  /** What was seen, in a sentence without a secret. */
  readonly text: string
  /** What to do about it; null = nothing. */
  readonly mend: string | null
}

export function ok(area: Finding['area'], text: string): Finding {
  return { area, level: 'ok', text, mend: null }
}

export function warn(area: Finding['area'], text: string, mend: string | null = null): Finding {
  return { area, level: 'warn', text, mend }
}

export function bad(area: Finding['area'], text: string, mend: string): Finding {
  return { area, level: 'bad', text, mend }
}
