import type { Logger } from 'pino'

const WARN_EVERY_MS = 10 * 60 * 1000

/** Says that the collector takes no spans: at most once in ten minutes, however long and often it fails. */
export function grumbler(log: Logger, now: () => number = () => performance.now()): (failure: string | null) => void {
  let warnedAt = Number.NEGATIVE_INFINITY
  let failing = false
  return (failure) => {
    if (failure === null) {
      if (failing) log.debug('the trace collector takes spans again')
      failing = false
      return
    }
    failing = true
    if (now() - warnedAt < WARN_EVERY_MS) return
    warnedAt = now()
    log.warn({ reason: failure }, 'the trace collector takes no spans: they are dropped')
  }
}
