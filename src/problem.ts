import type { HiveError } from './errors.ts'

/**
 * The body of an error answer (RFC 9457).
 *
 * @param instance  the request id, by which the log line is found.
 */
export function problemDocument(error: HiveError, instance: string): Record<string, unknown> {
  return {
    ...error.extra,
    type: `urn:hive:problem:${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    instance,
    code: error.code,
    ...(error.fields.length > 0 && { errors: error.fields }),
  }
}
