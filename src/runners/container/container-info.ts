import type { Labels } from './labels.ts'

/** What Hive reads of `GET /containers/{id}/json`, the same for both engines. */
export interface ContainerInfo {
  readonly id: string
  readonly name: string
  /** Digest of the image it was made from. */
  readonly image: string
  /** Runs, is paused or is being stopped: there is a process. */
  readonly isAlive: boolean
  readonly isPaused: boolean
  /** It has ended, but its engine does not know. */
  readonly isUnseenEnd: boolean
  /** False if it was only created: nothing of it has ever run, so there is no exit to speak of. */
  readonly hasRun: boolean
  readonly pid: number | null
  readonly exitCode: number
  readonly oom: boolean
  readonly startedAt: string | null
  readonly endedAt: string | null
  readonly labels: Labels
  /** PATH of its environment, the image's included; null = not set. */
  readonly searchPath: string | null
  readonly bindings: readonly PublishedPort[]
  /** Volumes that have a name of their own; anonymous ones go with the container. */
  readonly volumes: readonly string[]
  /** Where the engine keeps its log, on the engine's machine; null = elsewhere. */
  readonly logPath: string | null
  /** Addresses in the container's networks. */
  readonly addresses: readonly string[]
}

export interface PublishedPort {
  readonly port: number
  readonly host: string
  readonly hostPort: number
}

type Json = Readonly<Record<string, unknown>>

const ALIVE = new Set(['running', 'paused', 'stopping'])
const ANONYMOUS = /^[0-9a-f]{64}$/

/** Reads an answer of the engine; null if it does not look like a container. */
export function readContainer(body: unknown): ContainerInfo | null {
  const root = object(body)
  const state = object(root['State'])
  if (typeof root['Id'] !== 'string' || typeof state['Status'] !== 'string') return null
  return { ...identity(root), ...run(state), ...surroundings(root) }
}

function identity(root: Json) {
  const config = object(root['Config'])
  const path = list(config['Env'])
    .map(text)
    .find((entry) => entry.startsWith('PATH='))
  return {
    id: text(root['Id']),
    name: text(root['Name']).replace(/^\//, ''),
    image: text(root['Image']),
    labels: object(config['Labels']) as Labels,
    logPath: text(root['LogPath']) || null,
    searchPath: path?.slice('PATH='.length) ?? null,
  }
}

function run(state: Json) {
  const isPaused = state['Paused'] === true || state['Status'] === 'paused'
  const startedAt = time(state['StartedAt'])
  const pid = count(state['Pid'])
  return {
    isPaused,
    isUnseenEnd: false,
    // Podman says "stopping" with Running false while the process still takes its time.
    isAlive: isPaused || state['Running'] === true || ALIVE.has(text(state['Status'])),
    hasRun: startedAt !== null,
    pid: pid === 0 ? null : pid,
    exitCode: count(state['ExitCode']),
    oom: state['OOMKilled'] === true,
    startedAt,
    endedAt: time(state['FinishedAt']),
  }
}

function surroundings(root: Json) {
  const settings = object(root['NetworkSettings'])
  const networks = Object.values(object(settings['Networks']))
  const addresses = [settings['IPAddress'], ...networks.map((network) => object(network)['IPAddress'])]
  const mounts = list(root['Mounts']).map(object)
  return {
    bindings: publishedPorts(object(root['HostConfig'])['PortBindings']),
    volumes: mounts
      .filter((mount) => mount['Type'] === 'volume')
      .map((mount) => text(mount['Name']))
      .filter(isNamed),
    addresses: [...new Set(addresses.map(text))].filter((address) => address !== ''),
  }
}

/** True for a volume that somebody gave a name; engines name anonymous ones with 64 hex digits. */
export function isNamed(volume: string): boolean {
  return volume !== '' && !ANONYMOUS.test(volume)
}

/** Reads `PortBindings`: `{"8080/tcp": [{HostIp, HostPort}]}`. */
function publishedPorts(value: unknown): readonly PublishedPort[] {
  return Object.entries(object(value)).flatMap(([key, bindings]) =>
    list(bindings).map((binding) => {
      const { HostIp, HostPort } = object(binding)
      return { port: Number.parseInt(key, 10), host: text(HostIp) || '127.0.0.1', hostPort: Number(HostPort) }
    }),
  )
}

/** Engines say "0001-01-01T00:00:00Z" for never. */
function time(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && !value.startsWith('0001-') ? value : null
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0
}
