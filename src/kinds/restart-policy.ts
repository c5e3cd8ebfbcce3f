import { objectOf, oneOf, type Reader, wholeNumber } from './fields.ts'
import type { RestartPolicy } from './kind.ts'
import { duration } from './quantities.ts'

const MAX_ATTEMPTS = 1000
const NAMES = ['never', 'on-failure', 'always', 'unless-stopped'] as const

const name = oneOf(...NAMES)
const detailed = objectOf(
  {
    policy: name,
    max_attempts: wholeNumber(1, MAX_ATTEMPTS),
    window: duration(1000),
    backoff_min: duration(1),
    backoff_max: duration(1),
  },
  ['policy'],
)

export const DEFAULT_RESTART: RestartPolicy = Object.freeze({
  policy: 'on-failure',
  maxAttempts: 5,
  windowMs: 600_000,
  backoffMinMs: 1_000,
  backoffMaxMs: 60_000,
})

/** A policy by name, or one with its budget and back-off. */
export const restartPolicy: Reader<RestartPolicy> = (value, field, report) => {
  if (typeof value !== 'object' || value === null) {
    const policy = name(value, field, report)
    return policy === undefined ? undefined : { ...DEFAULT_RESTART, policy: plain(policy) }
  }
  const read = detailed(value, field, report)
  if (read?.policy === undefined) return undefined
  const backoffMinMs = read.backoff_min ?? DEFAULT_RESTART.backoffMinMs
  const backoffMaxMs = read.backoff_max ?? Math.max(DEFAULT_RESTART.backoffMaxMs, backoffMinMs)
  if (backoffMaxMs < backoffMinMs)
    report.problem(`${field}.backoff_max`, 'is below backoff_min', 'at least backoff_min')
  return {
    policy: plain(read.policy),
    maxAttempts: read.max_attempts ?? DEFAULT_RESTART.maxAttempts,
    windowMs: read.window ?? DEFAULT_RESTART.windowMs,
    backoffMinMs,
    backoffMaxMs,
  }
}

function plain(policy: (typeof NAMES)[number]): RestartPolicy['policy'] {
  return policy === 'unless-stopped' ? 'always' : policy
}
