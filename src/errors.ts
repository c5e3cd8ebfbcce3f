/** The table of error codes: one row per code, by status, each with a title that never changes. */
const TABLE = {
  HIVE_REQUEST_INVALID: [400, 'The request is not valid'],
  HIVE_UNAUTHORIZED: [401, 'A valid bearer token is required'],
  HIVE_FORBIDDEN: [403, 'This request is not allowed'],
  HIVE_NOT_FOUND: [404, 'There is nothing at this address'],
  HIVE_SERVICE_UNKNOWN: [404, 'There is no service with this name'],
  HIVE_COCOON_NO_ENDPOINT: [404, 'This cocoon has no port to reach'],
  HIVE_METHOD_NOT_ALLOWED: [405, 'This method is not allowed here'],
  HIVE_REQUEST_TIMEOUT: [408, 'The request did not arrive in time'],
  HIVE_NAME_TAKEN: [409, 'The name is taken'],
  HIVE_PORT_TAKEN: [409, 'The host port is taken'],
  HIVE_REQUEST_ID_REUSED: [409, 'The request id was used for another request'],
  HIVE_SECRETS_LOST: [409, 'The secrets of this service cannot be read any more'],
  HIVE_STATE_CONFLICT: [409, 'The service is not in a state that allows this'],
  HIVE_COCOON_GONE: [410, 'This cocoon was removed'],
  HIVE_REVISION_STALE: [412, 'The service has changed since'],
  HIVE_BODY_TOO_LARGE: [413, 'The body is too large'],
  HIVE_URL_TOO_LONG: [414, 'The address is too long'],
  HIVE_MEDIA_TYPE: [415, 'The body must be application/json'],
  HIVE_EXPECTATION_FAILED: [417, 'The expectation cannot be met'],
  HIVE_HOST_REFUSED: [421, 'This host name is not served here'],
  HIVE_KIND_UNKNOWN: [422, 'There is no kind with this id'],
  HIVE_START_FAILED: [424, 'The cocoon did not start'],
  HIVE_LAUNCH_REFUSED: [424, 'The runner refused to launch the cocoon'],
  HIVE_PROVIDER_MISSING: [424, 'What the cocoon uses is not there'],
  HIVE_PROVIDER_SECRET: [424, 'The secret for what the cocoon uses is refused'],
  HIVE_CAPACITY: [429, 'No more cocoons are allowed'],
  HIVE_TOO_MANY_FOLLOWERS: [429, 'Too many follow this already'],
  HIVE_TOO_MANY_WRONG_TOKENS: [429, 'Too many wrong tokens came from this address'],
  HIVE_HEADERS_TOO_LARGE: [431, 'The header fields are too large'],
  HIVE_INTERNAL: [500, 'Something went wrong inside Hive'],
  HIVE_NOT_IMPLEMENTED: [501, 'This is not supported'],
  HIVE_UPSTREAM_UNREACHABLE: [502, 'The cocoon does not answer'],
  HIVE_COCOON_BUSY: [503, 'The cocoon has as many requests as it may have'],
  HIVE_COCOON_PAUSED: [503, 'The cocoon is paused'],
  HIVE_UNHEALTHY: [503, 'The cocoon fails its health checks'],
  HIVE_COCOON_NOT_READY: [503, 'The cocoon is not ready'],
  HIVE_RUNNER_UNAVAILABLE: [503, 'The runner is not available'],
  HIVE_STORE_FAILED: [503, 'The service table cannot be written'],
  HIVE_OVERLOADED: [503, 'Hive has no room for more connections'],
  HIVE_SHUTTING_DOWN: [503, 'Hive is shutting down'],
  HIVE_UPSTREAM_TIMEOUT: [504, 'The cocoon did not answer in time'],
  HIVE_VERSION: [505, 'This HTTP version is not supported'],
  HIVE_STORE_FULL: [507, 'The disk of the service table is full'],
  HIVE_LOOP: [508, 'The request came back to where it started'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type HiveErrorCode = keyof typeof TABLE

export const errorCodes = Object.freeze(Object.keys(TABLE)) as readonly HiveErrorCode[]

/** One wrong field: `pointer` is a JSON pointer (RFC 6901) into the request body, or a parameter name. */
export interface FieldProblem {
  readonly pointer: string
  readonly detail: string
}

export interface HiveErrorOptions {
  /** Seconds after which trying again makes sense; becomes `Retry-After`. */
  readonly retryAfterS?: number
  readonly fields?: readonly FieldProblem[]
  /** Further members of the problem document, such as `service`. Never a secret. */
  readonly extra?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * The one error type that may reach a client.
 *
 * `message` becomes the `detail` of the problem document (RFC 9457), so it names the mend and holds no secret.
 */
export class HiveError extends Error {
  readonly code: HiveErrorCode
  readonly status: number
  readonly title: string
  readonly retryAfterS: number | undefined
  readonly fields: readonly FieldProblem[]
  readonly extra: Readonly<Record<string, unknown>>

  constructor(code: HiveErrorCode, detail: string, options: HiveErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'HiveError'
    this.code = code
    ;[this.status, this.title] = TABLE[code]
    this.retryAfterS = options.retryAfterS
    this.fields = options.fields ?? []
    this.extra = options.extra ?? {}
  }
}

/** True for a {@link HiveError}, optionally of one code. */
export function isHiveError(error: unknown, code?: HiveErrorCode): error is HiveError {
  return error instanceof HiveError && (code === undefined || error.code === code)
}
