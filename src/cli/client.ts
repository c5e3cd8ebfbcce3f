import { setTimeout as sleep } from 'node:timers/promises'
import { apiFailure, notHive } from './api-failure.ts'
import { CliFailure, Unreachable } from './failure.ts'
import type { Target } from './target.ts'

export interface Call {
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>
  readonly body?: unknown
  /** Milliseconds for the whole exchange (30 s). */
  readonly timeoutMs?: number
}

/** A thin client of Hive's HTTP API. Answers with a status of 400 or more are thrown as `CliFailure`. */
export interface Client {
  readonly target: Target
  send(method: 'GET' | 'POST' | 'DELETE', path: string, call?: Call): Promise<unknown>
  /** The lines of an answer that may go on for ever. @throws Unreachable  it broke off. */
  lines(path: string, call?: Call): AsyncIterable<string>
}

export function createClient(target: Target): Client {
  return {
    target,
    send: (method, path, call = {}) =>
      exchange(target, new Request(address(target, path, call), init(target, method, call)), call),
    lines: (path, call = {}) => readLines(target, path, call),
  }
}

/**
 * Repeats a call whose connection broke, for at most `patienceMs`. Only for calls that are safe to repeat.
 * A first call that never reached anything is not repeated: nothing was lost, and waiting would only hide it.
 */
export async function retryLost<T>(call: () => Promise<T>, patienceMs = 10_000): Promise<T> {
  let lostAt: number | null = null
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 1000)) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof Unreachable) || (lostAt === null && !error.lost)) throw error
      lostAt ??= performance.now()
      if (performance.now() + pauseMs - lostAt > patienceMs) throw error
    }
    await sleep(pauseMs)
  }
}

function address(target: Target, path: string, call: Call): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(call.query ?? {})) {
    for (const item of [value ?? []].flat()) query.append(name, String(item))
  }
  return `${target.base}${path}${query.size === 0 ? '' : `?${query}`}`
}

function init(target: Target, method: string, call: Call): RequestInit {
  const headers = new Headers({ accept: 'application/json, application/problem+json' })
  if (target.token !== null) headers.set('authorization', `Bearer ${target.token}`)
  if (call.body !== undefined) headers.set('content-type', 'application/json')
  // A redirect is refused: it would carry the token and the body to a place nobody named.
  const common: RequestInit = {
    method,
    headers,
    redirect: 'manual',
    signal: AbortSignal.timeout(call.timeoutMs ?? 30_000),
  }
  return call.body === undefined ? common : { ...common, body: JSON.stringify(call.body) }
}

async function exchange(target: Target, request: Request, call: Call): Promise<unknown> {
  let status: number
  let text: string
  try {
    const response = await fetch(request)
    status = response.status
    text = await response.text()
  } catch (error) {
    throw unreachable(target, error, call.timeoutMs ?? 30_000)
  }
  if (status >= 400) throw apiFailure(target, status, parse(text))
  const body = parse(text)
  if (status < 200 || status >= 300 || body === undefined) throw notHive(target, status)
  return body
}

async function* readLines(target: Target, path: string, call: Call): AsyncGenerator<string> {
  const { signal: _noDeadline, ...request } = init(target, 'GET', call)
  let rest = ''
  try {
    const response = await fetch(address(target, path, call), request)
    if (response.status >= 400) throw apiFailure(target, response.status, parse(await response.text()))
    if (response.status !== 200) throw notHive(target, response.status)
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  } catch (error) {
    if (error instanceof CliFailure) throw error
    throw unreachable(target, error, 0)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // an answer that is not JSON is judged by the caller
  }
}

/** Codes that say no connection came about, so that the request cannot have arrived. */
const NEVER_ARRIVED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
])

function unreachable(target: Target, error: unknown, timeoutMs: number): Unreachable {
  if ((error as Error).name === 'TimeoutError') {
    return new Unreachable(
      `${target.base} did not answer within ${timeoutMs / 1000} s.`,
      'Is it overloaded? Try again.',
      true,
    )
  }
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  const code = cause?.code ?? ''
  const mend = 'Start it with `hive serve`, or name another one with --url or HIVE_URL.'
  return new Unreachable(
    `${target.base}: ${code || cause?.message || (error as Error).message}`,
    mend,
    !NEVER_ARRIVED.has(code),
  )
}
