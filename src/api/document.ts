import { STATUS_CODES } from 'node:http'
import { OPERATION_EXAMPLES, PROBLEM_EXAMPLES } from './examples.ts'

interface MediaType {
  readonly schema?: { readonly $ref?: string }
  readonly example?: unknown
}

interface Response {
  readonly description: string
  readonly headers?: Readonly<Record<string, unknown>>
  readonly content?: Readonly<Record<string, MediaType>>
}

interface Operation {
  readonly operationId?: string
  readonly requestBody?: { readonly content?: Readonly<Record<string, MediaType>> }
  readonly responses?: Readonly<Record<string, Response>>
}

export interface ApiDocument {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const PROBLEM_TYPE = 'application/problem+json'
const PROBLEM_REF = '#/components/schemas/Problem'

const text = (description: string) => ({ schema: { type: 'string' }, description })
const ETAG = { etag: text('The revision of the record, for If-Match.') }
const LOCATION = { location: text('Where the record is: /services/<name>.') }
const RETRY_AFTER = { 'retry-after': { schema: { type: 'integer' }, description: 'Seconds until trying again helps.' } }
const CHALLENGE = { 'www-authenticate': text('Bearer') }

/** Adds to the generated document what route schemas cannot say: media types of problems, headers and examples. */
export function completeDocument<Document extends ApiDocument>(document: Document): Document {
  const paths = mapValues(document.paths ?? {}, (operations) => mapValues(operations, completeOperation))
  return { ...document, paths }
}

function completeOperation(operation: Operation): Operation {
  const id = operation.operationId ?? ''
  const { request, responses } = OPERATION_EXAMPLES[id] ?? { responses: {} }
  const body = operation.requestBody
  return {
    ...operation,
    ...(body?.content && { requestBody: { ...body, content: withExample(body.content, request) } }),
    responses: mapValues(operation.responses ?? {}, (response, status) =>
      completeResponse(response, { id, status, example: responses[Number(status)] }),
    ),
  }
}

interface About {
  readonly id: string
  readonly status: string
  readonly example: unknown
}

function completeResponse(response: Response, { id, status, example }: About): Response {
  const media = Object.entries(response.content ?? {})
  const isProblem = media.some(([, { schema }]) => schema?.$ref === PROBLEM_REF)
  const content = Object.fromEntries(media.map(([type, one]) => [isProblem ? PROBLEM_TYPE : type, one]))
  const headers = headersOf(id, Number(status), isProblem)
  return {
    ...response,
    description: STATUS_CODES[status] ?? response.description,
    ...(Object.keys(headers).length > 0 && { headers }),
    content: withExample(content, example ?? (isProblem ? PROBLEM_EXAMPLES[Number(status)] : undefined)),
  }
}

function headersOf(id: string, status: number, isProblem: boolean): Readonly<Record<string, unknown>> {
  if (status === 401) return CHALLENGE
  if (isProblem) return status === 429 || status === 503 ? RETRY_AFTER : {}
  if (id === 'spawn') return { ...LOCATION, ...ETAG, ...(status === 202 && RETRY_AFTER) }
  return /^(?:get|stop|start|restart)Service$/.test(id) ? ETAG : {}
}

function withExample(
  content: Readonly<Record<string, MediaType>>,
  example: unknown,
): Readonly<Record<string, MediaType>> {
  return example === undefined ? content : mapValues(content, (media) => ({ ...media, example }))
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value, key: string) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))
}
