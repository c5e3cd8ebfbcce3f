import { isObject } from './fields.ts'
import type { KindSpec } from './kind.ts'

/** A kind as it goes over the wire: exactly these four fields. */
export interface WireKind {
  readonly id: string
  readonly runner_type: string
  readonly runner_config: Readonly<Record<string, unknown>>
  readonly image: string
}

const REDACTED = '[redacted]'

/** The wire shape of a kind, every environment value replaced by `[redacted]`. Names stay. */
export function redactKind(kind: KindSpec): WireKind {
  const { id, runner_type, runner_config, image } = kind
  return { id, runner_type, runner_config: redactConfig(runner_config), image }
}

function redactConfig(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { environment } = config
  if (environment === undefined) return config
  if (!isObject(environment)) return { ...config, environment: REDACTED }
  const names = Object.keys(environment)
  return { ...config, environment: Object.fromEntries(names.map((name) => [name, REDACTED])) }
}
