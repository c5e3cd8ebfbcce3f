import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import { type FieldProblem, HiveError, type HiveErrorCode } from '../src/errors.ts'
import { problemDocument } from '../src/problem.ts'

/** The only translator of errors: whatever a route throws leaves as application/problem+json (RFC 9457). */
export default plugin(
  async (app: FastifyInstance) => {
    const patterns = new Map<string, Set<string>>()
    app.addHook('onRoute', ({ url, method }) => {
      const methods = patterns.get(url) ?? new Set()
      for (const one of [method].flat()) methods.add(one)
      patterns.set(url, methods)
    })
    app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(request, reply, toHiveError(error)))
    app.setNotFoundHandler((request, reply) => {
      const allowed = allowedMethods(patterns, request.url)
      if (allowed.length === 0)
        return sendProblem(request, reply, new HiveError('HIVE_NOT_FOUND', 'see /openapi.json for what there is'))
      reply.header('allow', allowed.join(', '))
      return sendProblem(request, reply, new HiveError('HIVE_METHOD_NOT_ALLOWED', `allowed: ${allowed.join(', ')}`))
    })
  },
  { name: 'problem-details' },
)

/** Fastify's `frameworkErrors`: what its router refuses before any route, hook or error handler has a say. */
export function answerFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(request, reply, toHiveError(error))
}

/** Statuses above 500 that say what the client did: anybody could fill the log with them. */
const CLIENT_FAULTS: readonly number[] = [501, 505, 508]

function sendProblem(request: FastifyRequest, reply: FastifyReply, error: HiveError): FastifyReply {
  // Not the request's own logger: those of cocoon routes do not know their id.
  if (error.status >= 500 && !CLIENT_FAULTS.includes(error.status))
    request.server.log.warn({ reqId: request.id, err: error, code: error.code }, 'answered with an error')
  if (error.retryAfterS !== undefined) reply.header('retry-after', String(error.retryAfterS))
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="hive"')
  return reply
    .status(error.status)
    .header('content-type', 'application/problem+json')
    .header('x-content-type-options', 'nosniff')
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problemDocument(error, request.id)))
}

const BY_FASTIFY_CODE: Readonly<Record<string, readonly [HiveErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['HIVE_MEDIA_TYPE', 'send application/json'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['HIVE_REQUEST_INVALID', 'the body is empty: send a JSON object, or no content-type'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['HIVE_REQUEST_INVALID', 'the body is not valid JSON'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['HIVE_BODY_TOO_LARGE', 'bodies of the control API are limited to 256 KB'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['HIVE_REQUEST_INVALID', 'the body is not as long as content-length says'],
  FST_ERR_BAD_URL: ['HIVE_REQUEST_INVALID', 'the address is not validly encoded'],
  FST_ERR_MAX_PARAM_LENGTH: ['HIVE_URL_TOO_LONG', 'a part of the address is too long'],
}

/** Whatever was thrown, as an error that may be shown. What is not known stays inside, with its cause for the log. */
export function toHiveError(error: FastifyError): HiveError {
  if (error instanceof HiveError) return error
  if (error.validation) return invalid(error)
  const known = BY_FASTIFY_CODE[error.code]
  if (known) return new HiveError(known[0], known[1], { cause: error })
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new HiveError('HIVE_REQUEST_INVALID', 'the request cannot be read', { cause: error })
  return new HiveError('HIVE_INTERNAL', 'the log of Hive says more under this request id', { cause: error })
}

function invalid(error: FastifyError): HiveError {
  const part = error.validationContext ?? 'request'
  const fields: FieldProblem[] = withChoices(error.validation ?? [])
    .filter((problem) => problem.params['additionalProperties'] === undefined)
    .slice(0, 20)
    .map((problem) => ({ pointer: shorten(problem.instancePath || '/'), detail: explain(problem) }))
  return new HiveError('HIVE_REQUEST_INVALID', `the ${part} does not fit its schema: see errors`, {
    fields,
    cause: error,
  })
}

type Problem = NonNullable<FastifyError['validation']>[number]

/** A choice of constants fails once for each of them, and then as a whole: it is told once, with what there is. */
function withChoices(problems: readonly Problem[]): readonly Problem[] {
  const constants = Map.groupBy(
    problems.filter(({ keyword }) => keyword === 'const'),
    ({ instancePath }) => instancePath,
  )
  const isToldElsewhere = ({ keyword, instancePath }: Problem) =>
    constants.has(instancePath) && (keyword === 'const' || keyword === 'anyOf')
  const choices = [...constants.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return []
    const allowed = [first, ...others].map(({ params }) => String(params['allowedValue']))
    const message = allowed.length === 1 ? `must be ${allowed[0]}` : `must be one of ${allowed.join(', ')}`
    return [{ ...first, message }]
  })
  return [...choices, ...problems.filter((problem) => !isToldElsewhere(problem))]
}

/** What the names in an open object may look like: its schema can only say that one does not fit. */
const NAME_FORMS: Readonly<Record<string, string>> = {
  labels: 'named with 1 to 63 letters, digits, ., _, / and -, a letter or digit at both ends',
  environment: 'named with letters, digits and _, no digit first',
}

/** A closed schema says of each unknown field that its schema is `false`. */
function explain(problem: Problem): string {
  if (problem.keyword === 'boolean') {
    const form = NAME_FORMS[problem.instancePath.split('/', 2)[1] ?? '']
    return form === undefined || problem.instancePath.split('/').length < 3 ? 'is not a known field' : `must be ${form}`
  }
  const names = problem.params['requiredProperties']
  return `${problem.message ?? 'is not valid'}${Array.isArray(names) ? `: ${names.map(shorten).join(', ')}` : ''}`
}

/** Input is repeated only in short, so that a hostile body does not come back whole. */
function shorten(value: unknown): string {
  const text = String(value)
  return text.length > 64 ? `${text.slice(0, 64)}…` : text
}

function allowedMethods(patterns: ReadonlyMap<string, ReadonlySet<string>>, url: string): readonly string[] {
  const segments = (url.split('?', 1)[0] ?? '').split('/')
  for (const [pattern, methods] of patterns) {
    const wanted = pattern.split('/')
    const fits =
      wanted.length === segments.length && wanted.every((part, at) => part.startsWith(':') || part === segments[at])
    if (fits) return [...methods].sort()
  }
  return []
}
