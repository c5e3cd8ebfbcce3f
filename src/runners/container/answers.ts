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

/** True of a refusal whose words are that there is no such container. */
export function saysNoContainer(body: unknown): boolean {
  return /no such container/i.test(String((body as { message?: unknown } | null)?.message))
}
