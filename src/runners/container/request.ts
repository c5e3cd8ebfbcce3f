import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { finished } from 'node:stream/promises'
import { RunnerUnreachable } from '../driver.ts'
import type { Circuit } from './circuit.ts'
import { timeLimit } from './time-limit.ts'

/** One call of the Engine API. `query` objects and `body` become JSON; the body never enters the URL. */
export interface EngineRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: object
  readonly registryAuth?: Readonly<Record<string, string>> | null
  /** Goes out even if the circuit is open. */
  readonly isProbe?: boolean
  /** Does not open the circuit: an engine that is slow to measure may do everything else. */
  readonly isMeasurement?: boolean
}

/** Sends a request and gives back the answer's head; the body is still to be read. */
export type Dial = (request: EngineRequest, signal: AbortSignal) => Promise<IncomingMessage>

/** For the engine client: every status is an answer; what it means is decided where the call is made. */
export const ANY_STATUS = new Proxy({}, { get: () => true })

export interface EngineLine {
  readonly address: string
  readonly dial: Dial
  readonly circuit: Circuit
}

export interface EngineAnswer {
  readonly status: number
  /** Parsed JSON; null when there is no body. */
  readonly body: unknown
  readonly headers: IncomingHttpHeaders
}

/** The engine answered, and the answer is no. */
export class EngineRefusal extends Error {
  readonly status: number

  constructor(status: number, detail: string) {
    super(detail)
    this.name = 'EngineRefusal'
    this.status = status
  }
}

/** A list of a thousand containers is some 5 MB; beyond this an answer is not sensible (F35). */
const MAX_ANSWER_BYTES = 32_000_000

/**
 * Asks the engine and reads the whole answer.
 * @param deadlineMs  null = as long as it takes.
 * @throws RunnerUnreachable  no answer, none in time, or one that makes no sense. · The caller's reason on abort.
 */
export async function ask(
  line: EngineLine,
  request: EngineRequest,
  deadlineMs: number | null,
  signal: AbortSignal,
): Promise<EngineAnswer> {
  signal.throwIfAborted()
  if (request.isProbe !== true) line.circuit.admit(line.address)
  const limit = timeLimit(signal, deadlineMs)
  try {
    const response = await settled(line.dial(request, limit.signal), limit.signal)
    const body = parse(await readAll(response, limit.signal), response.statusCode ?? 0)
    line.circuit.answered()
    return { status: response.statusCode ?? 0, body, headers: response.headers }
  } catch (error) {
    if (limit.isOver() && request.isMeasurement !== true) line.circuit.timedOut()
    if (signal.aborted) throw signal.reason
    throw unreachable(line.address, error)
  } finally {
    limit.release()
  }
}

/** As {@link ask}, but opens a stream: for a pull. The caller reads it, destroys it and listens to its errors. */
export async function open(line: EngineLine, request: EngineRequest, signal: AbortSignal): Promise<IncomingMessage> {
  signal.throwIfAborted()
  line.circuit.admit(line.address)
  try {
    return await settled(line.dial(request, signal), signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw unreachable(line.address, error)
  }
}

/** Reads a stream into nothing, to its end or until the signal. */
export async function dropAll(response: IncomingMessage, signal: AbortSignal): Promise<void> {
  const onAbort = (): unknown => response.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await finished(response.resume()).catch(() => signal.throwIfAborted())
  } finally {
    signal.removeEventListener('abort', onAbort)
    response.destroy()
  }
}

/** The text of a refusal; engines answer `{"message": …}`. */
export function refusalOf(answer: EngineAnswer): EngineRefusal {
  const body = answer.body as { message?: unknown } | null
  const text = typeof body?.message === 'string' ? body.message : `status ${answer.status}`
  return new EngineRefusal(answer.status, text.slice(0, 2_000))
}

/** Settles at the latest with the signal, whatever the client library does. */
function settled<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

async function readAll(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const onAbort = (): unknown => response.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response) {
      size += (chunk as Buffer).length
      if (size > MAX_ANSWER_BYTES) throw new Error(`its answer is larger than ${MAX_ANSWER_BYTES} bytes`)
      chunks.push(chunk as Buffer)
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    signal.removeEventListener('abort', onAbort)
    response.destroy()
  }
}

function parse(text: string, status: number): unknown {
  if (text.trim() === '') return null
  try {
    return JSON.parse(text)
  } catch {
    // An error page of something in between still says no; a success must be what was asked for.
    if (status >= 400) return { message: text.trim() }
    throw new Error('its answer is not JSON')
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there',
  EACCES: 'permission denied: this user may not use the socket',
  ENOTSOCK: 'the path is not a socket',
  ECONNRESET: 'the connection broke off',
  EPIPE: 'the connection broke off',
}

function unreachable(address: string, error: unknown): RunnerUnreachable {
  if (error instanceof RunnerUnreachable) return error
  const { code, message } = error as NodeJS.ErrnoException
  const why = (code !== undefined && CAUSES[code]) || message || 'unknown fault'
  return new RunnerUnreachable(`${address}: ${why}`, { cause: error })
}
