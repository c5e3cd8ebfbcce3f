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

type Values = Readonly<Record<string, unknown>>

/** The wire shape of a kind: every environment value, shared value and secret replaced by `[redacted]`. Names stay. */
export function redactKind(kind: KindSpec): WireKind {
  const { id, runner_type, runner_config, image } = kind
  return { id, runner_type, runner_config: redactConfig(runner_config), image }
}

function redactConfig(config: Values): Values {
  return {
    ...config,
    ...(config['environment'] !== undefined && { environment: redactValues(config['environment']) }),
    ...(config['expose'] !== undefined && { expose: redactShared(config['expose']) }),
    ...(Array.isArray(config['uses']) && { uses: config['uses'].map(redactShared) }),
  }
}

function redactValues(values: unknown): unknown {
  return isObject(values) ? Object.fromEntries(Object.keys(values).map((name) => [name, REDACTED])) : REDACTED
}

/** Of `expose` and each of `uses`. */
function redactShared(shared: unknown): unknown {
  if (!isObject(shared)) return REDACTED
  return {
    ...shared,
    ...(shared['secret'] !== undefined && { secret: REDACTED }),
    ...(shared['vars'] !== undefined && { vars: redactValues(shared['vars']) }),
  }
}
