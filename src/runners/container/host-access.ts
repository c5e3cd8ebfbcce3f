import type { HostAccess } from '../driver.ts'
import type { Engine } from './engine.ts'

/** The network of containers that ask for none. */
const DEFAULT_NETWORK = { docker: 'bridge', podman: 'podman' } as const
/** Names that the engines put into a container's hosts file or resolver. */
const ALIAS = { docker: 'host.docker.internal', podman: 'host.containers.internal' } as const

/** How this engine's containers reach the machine Hive runs on. @throws RunnerUnreachable */
export async function hostAccess(engine: Engine, signal: AbortSignal): Promise<HostAccess> {
  const { flavour, rootless, isLocal } = engine.facts
  if (!isLocal && engine.address.startsWith('unix:'))
    // In a virtual machine on this one, whose forwarder takes the alias to the loopback.
    return { type: 'alias', host: ALIAS[flavour], loopback: true }
  if (!isLocal) return { type: 'none', reason: `the engine at ${engine.address} is on another machine` }
  if (!rootless) return gateway(await engine.network(DEFAULT_NETWORK[flavour], signal))
  // Rootless bridges live in a network namespace that Hive is not in.
  if (flavour === 'podman') return { type: 'alias', host: ALIAS.podman, loopback: false }
  return { type: 'none', reason: 'a rootless Docker engine gives containers no way to this machine' }
}

function gateway(network: unknown): HostAccess {
  const { IPAM } = (network ?? {}) as { IPAM?: { Config?: unknown } | null }
  const configs = Array.isArray(IPAM?.Config) ? (IPAM.Config as readonly Readonly<Record<string, unknown>>[]) : []
  const subnets = configs.map(({ Subnet }) => String(Subnet)).filter((subnet) => /^[\d.]+\/\d+$/.test(subnet))
  const address = configs.map(({ Gateway, Subnet }) => Gateway ?? firstAddress(String(Subnet))).find(isIPv4)
  if (address === undefined || subnets.length === 0)
    return { type: 'none', reason: "the engine's default network has no IPv4 gateway" }
  return { type: 'gateway', address, subnets }
}

/** Older Docker engines leave the gateway out when it is the default one. */
function firstAddress(subnet: string): string {
  return subnet.replace(/\.\d+\/\d+$/, '.1')
}

function isIPv4(address: unknown): address is string {
  return typeof address === 'string' && /^\d+\.\d+\.\d+\.\d+$/.test(address)
}
