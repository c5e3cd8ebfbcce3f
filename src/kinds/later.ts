import {
  flag,
  listOf,
  objectOf,
  oneOf,
  portNumber,
  type Reader,
  type Readers,
  text,
  textLike,
  wholeNumber,
} from './fields.ts'
import { template } from './placeholders.ts'
import { duration } from './quantities.ts'

/** Fields that the design names and no code acts on yet: their shape is checked, then they are refused with that reason. */
export function refusedForNow(shape: Reader<unknown>): Reader<never> {
  return (value, field, report) => {
    shape(value, field, report)
    report.problem(field, 'is set, but this version of Hive does not act on it yet', 'a kind without it')
    return undefined
  }
}

const YEAR_MS = 365 * 24 * 3_600_000
const MAX_RETRIES = 1000
const argumentList = listOf(template, 'strings')

const healthCheck = objectOf(
  {
    type: oneOf('http', 'tcp', 'cmd'),
    path: template,
    port: portNumber,
    command: argumentList,
    interval: duration(100),
    timeout: duration(1),
    retries: wholeNumber(1, MAX_RETRIES),
    start_period: duration(0),
  },
  ['type'],
)

const healthChecks: Reader<unknown> = (value, field, report) =>
  Array.isArray(value) ? listOf(healthCheck, 'checks')(value, field, report) : healthCheck(value, field, report)

const restartPolicy = oneOf('never', 'on-failure', 'always', 'unless-stopped')
const restartObject = objectOf(
  {
    policy: restartPolicy,
    max_attempts: wholeNumber(1, MAX_RETRIES),
    window: duration(1000),
    backoff_min: duration(1),
    backoff_max: duration(1),
  },
  ['policy'],
)
const restart: Reader<unknown> = (value, field, report) =>
  typeof value === 'object' ? restartObject(value, field, report) : restartPolicy(value, field, report)

const sharedName = textLike(/^[a-z0-9](?:[a-z0-9-]{0,62})$/, 'a name of lower-case letters, digits and -')
const variableName = textLike(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a name of letters, digits and _')

/** Template values under free names; unlike `environment` nothing of it is used, so only the shape counts. */
const shownVariables: Reader<unknown> = (value, field, report) => {
  const names = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
  return objectOf(Object.fromEntries(names.map((name) => [name, text])))(value, field, report)
}

/** Later fields of every runner. */
export const laterFields = {
  health_check: refusedForNow(healthChecks),
  restart: refusedForNow(restart),
  ttl: refusedForNow(duration(1000, YEAR_MS)),
  idle_timeout: refusedForNow(duration(1000, YEAR_MS)),
  wake: refusedForNow(flag),
  expose: refusedForNow(objectOf({ name: sharedName, secret: text, vars: shownVariables }, ['name'])),
  uses: refusedForNow(listOf(objectOf({ name: sharedName, secret: text, as: variableName }, ['name']), 'objects')),
} satisfies Readers
