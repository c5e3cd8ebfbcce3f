import { listOf, objectOf, oneOf, portNumber, type Read, type Reader, wholeNumber } from './fields.ts'
import type { HealthCheck } from './kind.ts'
import { template } from './placeholders.ts'
import { duration } from './quantities.ts'
import type { Report } from './report.ts'

const MAX_RETRIES = 1000
const MAX_CHECKS = 16
const PATH = /^\/[\x21-\x7e]*$/

const path: Reader<string> = (value, field, report) => {
  const read = template(value, field, report)
  if (read === undefined || PATH.test(read)) return read
  report.problem(field, 'is not a path', 'a path such as "/health"')
  return undefined
}

const fields = {
  type: oneOf('http', 'tcp', 'cmd'),
  path,
  port: portNumber,
  command: listOf(template, 'strings'),
  interval: duration(100),
  timeout: duration(1),
  retries: wholeNumber(1, MAX_RETRIES),
  start_period: duration(0),
}

const shape = objectOf(fields, ['type'])

/** One check, or a list of which all must pass. */
export const healthChecks: Reader<readonly HealthCheck[]> = (value, field, report) => {
  if (Array.isArray(value) && value.length > MAX_CHECKS) {
    report.problem(field, `holds more than ${MAX_CHECKS} checks`, 'the few that matter')
    return undefined
  }
  if (Array.isArray(value)) return listOf(healthCheck, 'checks')(value, field, report)
  const one = healthCheck(value, field, report)
  return one === undefined ? undefined : [one]
}

const healthCheck: Reader<HealthCheck> = (value, field, report) => {
  const read = shape(value, field, report)
  if (read?.type === undefined) return undefined
  refuseStrangers(read, field, report)
  return {
    type: read.type,
    path: read.path ?? '/',
    port: read.port ?? null,
    command: read.command ?? [],
    intervalMs: read.interval ?? 10_000,
    timeoutMs: read.timeout ?? 5_000,
    retries: read.retries ?? 3,
    startPeriodMs: read.start_period ?? 0,
  }
}

/** A field of another type of check would do nothing, and nobody would notice. */
function refuseStrangers(read: Read<typeof fields>, field: string, report: Report): void {
  if (read.type === 'cmd' && (read.command ?? []).length === 0)
    report.problem(`${field}.command`, 'is missing', 'the program and its arguments, such as ["/bin/check"]')
  if (read.type !== 'cmd' && read.command !== undefined)
    report.problem(`${field}.command`, `is not for ${read.type} checks`, 'type "cmd", or no command')
  if (read.type !== 'http' && read.path !== undefined)
    report.problem(`${field}.path`, `is not for ${read.type} checks`, 'type "http", or no path')
  if (read.type === 'cmd' && read.port !== undefined)
    report.problem(`${field}.port`, 'is not for cmd checks', 'the port as an argument of the command')
}

/**
 * Refuses a check of a port that no cocoon of the kind could ever have: it would fail for ever.
 *
 * @param ports  the declared ones, the exposed port included.
 */
export function checkPorts(
  checks: readonly HealthCheck[],
  ports: { readonly declared: readonly number[]; readonly right: string },
  report: Report,
): void {
  checks.forEach(({ port }, index) => {
    if (port === null || ports.declared.includes(port)) return
    const field = checks.length === 1 ? 'health_check.port' : `health_check[${index}].port`
    report.problem(field, `${port} is none of its ports`, ports.right)
  })
}
