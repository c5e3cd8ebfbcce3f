import { acceptEnvironment } from './accept.ts'
import { environment } from './environment.ts'
import { expose, uses } from './exposure.ts'
import {
  flag,
  listOf,
  objectOf,
  portNumber,
  type Read,
  type Reader,
  type Readers,
  textLike,
  wholeNumber,
} from './fields.ts'
import { healthChecks } from './health-check.ts'
import type { Resources, ScriptConfig } from './kind.ts'
import { refusedForNow } from './later.ts'
import { duration, size } from './quantities.ts'
import type { Report } from './report.ts'
import { DEFAULT_RESTART, restartPolicy } from './restart-policy.ts'

const YEAR_MS = 365 * 24 * 3_600_000
const MAX_ID = 4_294_967_294
const LEAST_MEMORY_BYTES = 6 * 1024 ** 2
const USER = /^(?:[0-9]{1,10}(?::[0-9]{1,10})?|[a-z_][a-z0-9_-]{0,31})$/

const userForm = textLike(USER, '"uid", "uid:gid" or a user name of lower-case letters, digits, _ and -')

const user: Reader<string> = (value, field, report) =>
  value === 'auto' ? refusedForNow(userForm)(value, field, report) : userOrAuto(value, field, report)

/** `user` where `auto` acts; it is a name like any other here. */
export const userOrAuto: Reader<string> = (value, field, report) => {
  const read = userForm(value, field, report)
  if (read === undefined || !/^[0-9]/.test(read) || read.split(':').every((id) => Number(id) <= MAX_ID)) return read
  report.problem(field, 'is out of range', `ids from 0 to ${MAX_ID}`)
  return undefined
}

const cpus: Reader<number> = (value, field, report) => {
  if (typeof value === 'number' && value >= 0.01 && value <= 4096) return value
  report.problem(field, 'is not a number of processors', 'a number from 0.01 to 4096, such as 1.5')
  return undefined
}

const limits = objectOf({
  memory: size(LEAST_MEMORY_BYTES),
  cpus,
  pids: wholeNumber(1, 4_194_304),
  nofile: wholeNumber(1, 1_048_576),
  nproc: wholeNumber(1, 4_194_304),
})

/** `resources` as Hive keeps it; what is not said is null. */
export const resources: Reader<Resources> = (value, field, report) => {
  const read = limits(value, field, report)
  if (read === undefined) return undefined
  const { memory, cpus, pids, nofile, nproc } = read
  return {
    memoryBytes: memory ?? null,
    cpus: cpus ?? null,
    pids: pids ?? null,
    nofile: nofile ?? null,
    nproc: nproc ?? null,
  }
}

/** A web origin as browsers send it (RFC 6454): scheme, host, port unless it is the default one; nothing behind. */
export function normalOrigin(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return null
  const isBare = url.pathname === '/' && url.search === '' && url.hash === '' && !/[/?#*]$/.test(text)
  return isBare && !url.hostname.includes('*') ? url.origin : null
}

const origin: Reader<string> = (value, field, report) => {
  const read = typeof value === 'string' ? normalOrigin(value) : null
  if (read !== null) return read
  report.problem(field, 'is not an origin', 'scheme and host alone, such as "https://app.example:8443", each one named')
  return undefined
}

/** Readers of the fields that every runner knows. */
export const commonFields = {
  environment,
  accept_environment: acceptEnvironment,
  port: portNumber,
  user,
  ready_timeout: duration(1),
  stop_grace: duration(0),
  health_check: healthChecks,
  restart: restartPolicy,
  ttl: duration(1000, YEAR_MS),
  idle_timeout: duration(1000, YEAR_MS),
  wake: flag,
  allow_origins: listOf(origin, 'origins'),
  strip_prefix: flag,
  expose,
  uses,
} satisfies Readers

type ScriptsOwn = 'runner' | 'command' | 'args' | 'workingDir' | 'portNames' | 'resources' | 'sandbox' | 'sha256'
type CommonConfig = Omit<ScriptConfig, ScriptsOwn>

/** The common part of a config, defaults filled in. */
export function commonConfig(read: Read<typeof commonFields>): CommonConfig {
  return {
    environment: read.environment ?? {},
    acceptEnvironment: read.accept_environment ?? ['*'],
    port: read.port ?? null,
    user: read.user ?? null,
    readyTimeoutMs: read.ready_timeout ?? 60_000,
    stopGraceMs: read.stop_grace ?? 10_000,
    healthChecks: read.health_check ?? [],
    restart: read.restart ?? DEFAULT_RESTART,
    ttlMs: read.ttl ?? null,
    idleTimeoutMs: read.idle_timeout ?? null,
    wake: read.wake ?? false,
    allowOrigins: read.allow_origins ?? [],
    stripPrefix: read.strip_prefix ?? true,
    expose: read.expose ?? null,
    uses: read.uses ?? [],
  }
}

export const NO_RESOURCES: Resources = { memoryBytes: null, cpus: null, pids: null, nofile: null, nproc: null }

/** Nothing but `idle_timeout` puts a cocoon to sleep. */
export function checkWake(read: Read<typeof commonFields>, report: Report): void {
  if (read.wake === true && read.idle_timeout === undefined)
    report.problem(
      'wake',
      'is set without idle_timeout, so there is nothing to wake from',
      'an idle_timeout, or no wake',
    )
}

/** Says that a field which a kind cannot do without is not there. */
export function requireField(read: object, key: string, right: string, report: Report): void {
  if (!Object.hasOwn(read, key)) report.problem(key, 'is missing', right)
}
