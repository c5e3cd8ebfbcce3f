import type { HiveConfig } from '../settings.ts'
import type { SettingSource } from './notes.ts'
import { numberRange, offOrDuration, oneOf, onOff, shortDuration, wholeNumber } from './readers.ts'

type Limits = Pick<
  HiveConfig,
  | 'maxCocoons'
  | 'maxStarts'
  | 'maxCocoonRequests'
  | 'maxCocoonTunnels'
  | 'portRange'
  | 'uidRange'
  | 'keepEndedMs'
  | 'stopOnExit'
  | 'usesTimeoutMs'
  | 'logLevel'
>

const logLevel = oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent')

/** Settings of how much, how long and how loud. */
export function readLimits(source: SettingSource): Limits {
  return {
    maxCocoons: source.read('HIVE_MAX_COCOONS', wholeNumber(1, 100_000), 500),
    maxStarts: source.read('HIVE_MAX_STARTS', wholeNumber(1, 1000), 8),
    portRange: source.read('HIVE_PORT_RANGE', numberRange(1024, 65_535, '20000-29999'), {
      first: 20_000,
      last: 29_999,
    }),
    maxCocoonRequests: source.read('HIVE_MAX_COCOON_REQUESTS', wholeNumber(1, 1_000_000), 256),
    maxCocoonTunnels: source.read('HIVE_MAX_COCOON_TUNNELS', wholeNumber(1, 1_000_000), 10_000),
    // From 1: an own uid of 0 would be root.
    uidRange: source.read('HIVE_UID_RANGE', numberRange(1, 4_294_967_294, '200000-209999'), null),
    keepEndedMs: source.read('HIVE_KEEP_ENDED', offOrDuration, { ms: null }).ms,
    stopOnExit: source.read('HIVE_STOP_ON_EXIT', onOff, false),
    usesTimeoutMs: source.read('HIVE_USES_TIMEOUT', shortDuration, 600_000),
    logLevel: source.read('HIVE_LOG_LEVEL', logLevel, 'info'),
  }
}
