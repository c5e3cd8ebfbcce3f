import { type DestinationStream, type Logger, pino } from 'pino'
import type { HiveConfig } from './settings.ts'

/** Wherever one of these stands in a logged object, its value is not printed. The one place where this is decided. */
const REDACTED_KEYS = [
  'authorization',
  'cookie',
  'hive-token',
  'set-cookie',
  'setup_token',
  'setupToken',
  'environment',
  'env',
  'cocoonSecret',
  'COCOON_SECRET',
  'COCOON_SETUP_TOKEN',
  'password',
  'token',
]

export function createLogger(config: Pick<HiveConfig, 'logLevel'>, destination?: DestinationStream): Logger {
  const paths = REDACTED_KEYS.flatMap((key) => {
    const safe = /^[A-Za-z_]+$/.test(key) ? key : `["${key}"]`
    const nested = safe.startsWith('[') ? `*${safe}` : `*.${safe}`
    return [safe, nested, safe.startsWith('[') ? `*.*${safe}` : `*.*.${safe}`]
  })
  const options = {
    level: config.logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths, censor: '[redacted]' },
    serializers: { err: serializeError, req: serializeRequest, res: serializeReply },
  }
  return destination ? pino(options, destination) : pino(options)
}

/** Errors of libraries may carry whole requests: only what names the fault is kept. */
function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack } = error
  const code = (error as { code?: unknown }).code
  const cause = error.cause === undefined ? undefined : serializeError(error.cause)
  return { type: name, message, ...(code !== undefined && { code }), stack, ...(cause && { cause }) }
}

/** The query is left out: people put secrets there although Hive never asks for one. */
function serializeRequest(request: { method?: string; url?: string; ip?: string }): Record<string, unknown> {
  return { method: request.method, path: request.url?.split('?', 1)[0], peer: request.ip }
}

function serializeReply(reply: { statusCode?: number }): Record<string, unknown> {
  return { status: reply.statusCode }
}
