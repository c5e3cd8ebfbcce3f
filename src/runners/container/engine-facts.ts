import os from 'node:os'
import { RunnerUnreachable } from '../driver.ts'
import type { EngineAddress } from './engine-address.ts'
import { ask, type EngineLine, type EngineRequest, refusalOf } from './request.ts'

/** What Hive must know of an engine before it works with it. */
export interface EngineFacts {
  /** Names the store that holds the containers, whatever address leads to it. */
  readonly id: string
  readonly flavour: 'docker' | 'podman'
  readonly rootless: boolean
  readonly version: string
  /** False where the engine cannot limit memory, cpu or processes (rootless on cgroups v1). */
  readonly limits: boolean
  /** True if the process ids it tells are those of this machine. */
  readonly isLocal: boolean
}

type Json = Readonly<Record<string, unknown>>

/** @throws RunnerUnreachable */
export async function askFacts(
  line: EngineLine,
  address: EngineAddress,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<EngineFacts> {
  const get = (path: string): Promise<Json> =>
    getObject(line, { method: 'GET', path, isProbe: true }, deadlineMs, signal)
  const [version, info] = await Promise.all([get('/version'), get('/info')])
  const components = Array.isArray(version['Components']) ? version['Components'] : []
  const isPodman = components.some((component: Json) => component['Name'] === 'Podman Engine')
  // Its own API: the Docker one of Podman hides what rootless means.
  return isPodman ? podmanFacts(info, await get('/v4.0.0/libpod/info'), address) : dockerFacts(info, address)
}

async function getObject(line: EngineLine, request: EngineRequest, deadlineMs: number, signal: AbortSignal) {
  const answer = await ask(line, request, deadlineMs, signal)
  if (answer.status !== 200 || typeof answer.body !== 'object' || answer.body === null)
    throw new RunnerUnreachable(`${line.address}: ${request.path} answered ${refusalOf(answer).message}`)
  return answer.body as Json
}

function dockerFacts(info: Json, address: EngineAddress): EngineFacts {
  const security = Array.isArray(info['SecurityOptions']) ? (info['SecurityOptions'] as unknown[]) : []
  return {
    // Before 23.0 all daemons of a host share the id kept in /etc, so the data root belongs to it.
    id: `docker:${String(info['ID'])}@${String(info['DockerRootDir'])}`,
    flavour: 'docker',
    rootless: security.includes('name=rootless'),
    version: String(info['ServerVersion']),
    limits: info['MemoryLimit'] === true && info['PidsLimit'] === true,
    isLocal: isLocal(info, address),
  }
}

function podmanFacts(info: Json, own: Json, address: EngineAddress): EngineFacts {
  const host = (own['host'] ?? {}) as { security?: Json; cgroupVersion?: unknown }
  const store = (own['store'] ?? {}) as Json
  const rootless = host.security?.['rootless'] === true
  const where = 'socketPath' in address ? 'local' : `${address.host}:${address.port}`
  return {
    // Podman's id is a new random one in every answer; its store is what makes it the same engine.
    id: `podman:${where}@${String(store['graphRoot'] ?? info['DockerRootDir'])}`,
    flavour: 'podman',
    rootless,
    version: String(info['ServerVersion']),
    limits: !(rootless && host.cgroupVersion === 'v1'),
    isLocal: isLocal(info, address),
  }
}

/** An engine in a virtual machine answers on a local socket as well, but under another kernel or host name. */
function isLocal(info: Json, address: EngineAddress): boolean {
  return (
    process.platform === 'linux' &&
    'socketPath' in address &&
    info['KernelVersion'] === os.release() &&
    info['Name'] === os.hostname()
  )
}
