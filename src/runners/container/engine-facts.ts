import os from 'node:os'
import { RunnerUnreachable } from '../driver.ts'
import { flavourOf } from './answers.ts'
import type { EngineAddress } from './engine-address.ts'
import type { KeptLimits } from './kept-limits.ts'
import { ask, type EngineLine, refusalOf } from './request.ts'

/** What Hive must know of an engine before it works with it. */
export interface EngineFacts {
  /** Names the store that holds the containers, whatever address leads to it. */
  readonly id: string
  readonly flavour: 'docker' | 'podman'
  readonly rootless: boolean
  readonly version: string
  readonly limits: KeptLimits
  /** True if the process ids it tells are those of this machine. */
  readonly isLocal: boolean
}

type Json = Readonly<Record<string, unknown>>
type Flavour = EngineFacts['flavour']

/** The cheap question: is anybody there, and who? `/info` takes Podman a third of a second of work. */
export async function ping(line: EngineLine, deadlineMs: number, signal: AbortSignal): Promise<Flavour> {
  const answer = await ask(line, { method: 'HEAD', path: '/_ping', isProbe: true }, deadlineMs, signal)
  if (answer.status !== 200) throw new RunnerUnreachable(`${line.address}: it answers ${answer.status} to a ping`)
  return flavourOf(answer.headers)
}

/** @throws RunnerUnreachable */
export async function askFacts(
  line: EngineLine,
  address: EngineAddress,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<EngineFacts> {
  const flavour = await ping(line, deadlineMs, signal)
  // Podman's own API: its Docker one does not say what is rootless.
  const path = flavour === 'podman' ? '/v4.0.0/libpod/info' : '/info'
  const answer = await ask(line, { method: 'GET', path, isProbe: true }, deadlineMs, signal)
  if (answer.status !== 200 || typeof answer.body !== 'object' || answer.body === null)
    throw new RunnerUnreachable(`${line.address}: ${path} answered ${refusalOf(answer).message}`)
  return flavour === 'podman' ? podmanFacts(answer.body as Json, address) : dockerFacts(answer.body as Json, address)
}

function dockerFacts(info: Json, address: EngineAddress): EngineFacts {
  const security = Array.isArray(info['SecurityOptions']) ? (info['SecurityOptions'] as unknown[]) : []
  return {
    // Before 23.0 all daemons of a host share the id kept in /etc, so the data root belongs to it.
    id: `docker:${String(info['ID'])}@${String(info['DockerRootDir'])}`,
    flavour: 'docker',
    rootless: security.includes('name=rootless'),
    version: String(info['ServerVersion']),
    limits: {
      memory: info['MemoryLimit'] === true,
      cpus: info['CpuCfsQuota'] === true,
      pids: info['PidsLimit'] === true,
    },
    isLocal: isLocal(address, info['Name'], info['KernelVersion']),
  }
}

interface PodmanInfo {
  readonly host?: Json & { readonly security?: Json }
  readonly store?: Json
  readonly version?: Json
}

function podmanFacts({ host = {}, store = {}, version = {} }: PodmanInfo, address: EngineAddress): EngineFacts {
  const rootless = host.security?.['rootless'] === true
  const where = 'socketPath' in address ? 'local' : `${address.host}:${address.port}`
  return {
    // Podman has no id of its own (in Docker's API a new random one each time); its store makes it the same engine.
    id: `podman:${where}@${String(store['graphRoot'])}`,
    flavour: 'podman',
    rootless,
    version: String(version['Version']),
    limits: podmanLimits(host, rootless),
    isLocal: isLocal(address, host['hostname'], host['kernel']),
  }
}

function podmanLimits(host: Json, rootless: boolean): KeptLimits {
  const controllers = host['cgroupControllers']
  // Before 3.0 it does not say which it has.
  const isUnknown = !Array.isArray(controllers) && !(rootless && host['cgroupVersion'] === 'v1')
  const has = (name: string): boolean => isUnknown || (Array.isArray(controllers) && controllers.includes(name))
  return { memory: has('memory'), cpus: has('cpu'), pids: has('pids') }
}

/** An engine in a virtual machine answers on a local socket as well, but under another kernel or host name. */
function isLocal(address: EngineAddress, name: unknown, kernel: unknown): boolean {
  const isSameHost = name === os.hostname() && kernel === os.release()
  return process.platform === 'linux' && 'socketPath' in address && isSameHost
}
