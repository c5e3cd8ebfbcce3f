import type { IncomingHttpHeaders } from 'node:http'
import type { EngineAnswer } from './request.ts'

export interface FileMode {
  readonly isDirectory: boolean
  readonly isExecutable: boolean
}

export interface ImageInfo {
  readonly id: string
  /** TCP ports it EXPOSEs, ascending. */
  readonly exposed: readonly number[]
}

/** Bits of Go's `fs.FileMode`, in which the engine tells it. */
const GO_DIRECTORY = 2 ** 31
const GO_LINK = 2 ** 27
const ANY_EXECUTE = 0o111

/** The mode of a file as `X-Docker-Container-Path-Stat` tells it; null = not readable. */
export function readMode(header: string | string[] | undefined): FileMode | null {
  let mode: unknown
  try {
    mode = (JSON.parse(Buffer.from(String(header), 'base64').toString('utf8')) as { mode?: unknown } | null)?.mode
  } catch {
    return null
  }
  const bits = typeof mode === 'number' ? mode : ANY_EXECUTE
  // The permissions of a link are its own, not those of the file it leads to.
  return { isDirectory: (bits & GO_DIRECTORY) !== 0, isExecutable: (bits & (GO_LINK | ANY_EXECUTE)) !== 0 }
}

/** What GET /images/:name/json says. */
export function readImage(body: unknown): ImageInfo {
  const image = body as { Id?: unknown; Config?: { ExposedPorts?: unknown } | null } | null
  const ports = Object.keys((image?.Config?.ExposedPorts ?? {}) as object)
  const tcp = ports
    .filter((port) => !port.includes('/') || port.endsWith('/tcp'))
    .map((port) => Number.parseInt(port, 10))
  return { id: String(image?.Id ?? ''), exposed: tcp.filter((port) => port > 0).sort((a, b) => a - b) }
}

/** How it goes with a command. `pid` as its engine's machine counts, null = not told. */
export type ExecState =
  | { readonly state: 'not started' }
  | { readonly state: 'running'; readonly pid: number | null }
  | { readonly state: 'ended'; readonly code: number }

/** What GET /exec/:id/json says. */
export function readExec(body: unknown): ExecState {
  const { Running, ExitCode, Pid } = (body ?? {}) as { Running?: unknown; ExitCode?: unknown; Pid?: unknown }
  if (Running === true) return { state: 'running', pid: typeof Pid === 'number' && Pid > 0 ? Pid : null }
  return typeof ExitCode === 'number' ? { state: 'ended', code: ExitCode } : { state: 'not started' }
}

/**
 * How Docker (20.10) and Podman (4.3) say that there is no such thing. The API has no code for it but 404, which is
 * also what an engine answers to a call it does not know, and a proxy to anything.
 */
const NONE = {
  container: /no such container/i,
  image: /no such image|image not known/i,
  volume: /no such volume/i,
  network: /no such network|network .*not found/i,
  exec: /no such (?:exec|container)/i,
} as const

/** `page not found` of Docker, `Not Found` of Podman. */
const NO_SUCH_CALL = /^(?:page )?not found$/i

export type Thing = keyof typeof NONE
type Told = Pick<EngineAnswer, 'status' | 'body' | 'headers'>

/** True of an answer that proves that there is no such thing. Without a body the engine's own header must do. */
export function saysNone(thing: Thing, answer: Told): boolean {
  return answer.body === null ? answer.status === 404 && isOfEngine(answer.headers) : NONE[thing].test(wordsOf(answer))
}

/** True of a 404 that is about the call itself: the engine does not know it, or did not get it. */
export function isStray404(answer: Told): boolean {
  if (answer.status !== 404 || Object.values(NONE).some((words) => words.test(wordsOf(answer)))) return false
  return !isOfEngine(answer.headers) || wordsOf(answer) === '' || saysNoSuchCall(wordsOf(answer))
}

/** True of what an engine says to a call that it does not know. */
export function saysNoSuchCall(words: string): boolean {
  return NO_SUCH_CALL.test(words)
}

/** Both engines send their version with every answer to a call that they know. */
export function isOfEngine(headers: IncomingHttpHeaders): boolean {
  return headers['api-version'] !== undefined
}

/** Which engine sent an answer: only Podman has an API of its own beside Docker's. */
export function flavourOf(headers: IncomingHttpHeaders): 'docker' | 'podman' {
  return headers['libpod-api-version'] === undefined ? 'docker' : 'podman'
}

function wordsOf({ body }: Told): string {
  const message = (body as { message?: unknown } | null)?.message
  return typeof message === 'string' ? message : ''
}
