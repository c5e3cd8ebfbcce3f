import { Value } from 'typebox/value'
import { SpawnBody } from '../schemas.ts'
import { isServiceName } from '../services/names.ts'
import type { Dialect } from './dialect.ts'
import type { Message } from './frame.ts'

export interface SpawnAsked {
  readonly type: 'spawn'
  readonly requestId: string
  readonly kind: string
  readonly name: string | null
  readonly setupToken: string | null
}

export interface TerminateAsked {
  readonly type: 'terminate'
  readonly requestId: string
  /** Name, `cocoons:name`, container id or the beginning of one. */
  readonly target: string
}

export type Asked = SpawnAsked | TerminateAsked

export interface Result {
  readonly type: Asked['type']
  readonly requestId: string
  readonly success: boolean
  readonly containerId: string | null
  readonly error: string | null
}

export type ReadRequest =
  | { readonly asked: Asked }
  /** It can be answered, but not done. */
  | { readonly refused: Result }
  /** Nobody can be answered: there is no usable request id. */
  | { readonly fault: string }

const LONGEST_ID = 256
const CONTROL = /\p{Cc}/u

/** Reads a spawn or terminate message; null for any other. Unknown fields are ignored, `null` counts as absent. */
export function readRequest(dialect: Dialect, { type, body }: Message): ReadRequest | null {
  if (type !== dialect.spawn && type !== dialect.terminate) return null
  const requestId = body['request_id']
  if (!isId(requestId)) return { fault: `a ${type} without a usable request_id` }
  return type === dialect.spawn ? readSpawn(requestId, body) : readTerminate(requestId, body)
}

export function failed(type: Asked['type'], requestId: string, error: string): Result {
  return { type, requestId, success: false, containerId: null, error }
}

/** The message of a result; what is absent is left out. `device_id` is: only the server could compute it. */
export function resultMessage(dialect: Dialect, result: Result): Readonly<Record<string, unknown>> {
  const { type, requestId, success, containerId, error } = result
  return {
    type: type === 'spawn' ? dialect.spawnResult : dialect.terminateResult,
    request_id: requestId,
    success,
    ...(containerId !== null && { container_id: containerId }),
    ...(error !== null && { error }),
  }
}

/** The limits are those of POST /spawn. */
function readSpawn(requestId: string, body: Message['body']): ReadRequest {
  const { kind, name, setup_token } = body
  const given = Object.entries({ kind, name, setup_token }).filter(([, value]) => value !== null && value !== undefined)
  const request = Object.fromEntries(given.filter(([key, value]) => !(key === 'setup_token' && value === '')))
  const wrong = wrongSpawn(request)
  if (wrong !== null) return { refused: failed('spawn', requestId, `create service failed: ${wrong}`) }
  const { setup_token: setupToken = null, ...spawn } = request as SpawnBody
  return { asked: { type: 'spawn', requestId, kind: spawn.kind, name: spawn.name ?? null, setupToken } }
}

function wrongSpawn(request: Readonly<Record<string, unknown>>): string | null {
  const problems = Value.Errors(SpawnBody, request).map(({ instancePath, message }) => `${instancePath} ${message}`)
  const broken = Object.entries(request).find(([, value]) => typeof value === 'string' && !value.isWellFormed())
  if (broken) problems.push(`/${broken[0]} is not valid Unicode`)
  const { name } = request
  if (problems.length === 0 && typeof name === 'string' && !isServiceName(name))
    problems.push('/name must be 1-56 of a-z, 0-9 and -, begin and end with a letter or digit, without --')
  return problems.length === 0 ? null : problems.join(', ').trim()
}

function readTerminate(requestId: string, { container_id: target }: Message['body']): ReadRequest {
  if (isId(target)) return { asked: { type: 'terminate', requestId, target } }
  return { refused: failed('terminate', requestId, 'delete service failed: container_id is not usable') }
}

function isId(value: unknown): value is string {
  const isText = typeof value === 'string' && value !== '' && value.length <= LONGEST_ID
  return isText && !CONTROL.test(value) && value.isWellFormed()
}
