import { BlockList, isIP, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { HostAccess } from '../runners/driver.ts'
import { type Dial, openRelay, type Relay, type RelayTarget } from './relay.ts'

/** How a relay is reached by the containers it is there for. */
export type Way = Extract<HostAccess, { type: 'gateway' | 'alias' }>

/** True for the error of a listener whose port somebody else has. */
export function isPortTaken(error: unknown): boolean {
  return codeOf(error) === 'EADDRINUSE'
}

export interface NearRelay {
  readonly target: RelayTarget | Dial
  /** 0 = a free one. */
  readonly port: number
  /** Whether this address in the engine's network is one of those it is for; absent = all are. */
  readonly isAt?: (address: string) => Promise<boolean>
}

/** On the gateway address itself; Podman makes its bridge only with its first container, until then on all. */
export async function listenNear(way: Way, { target, port, isAt }: NearRelay): Promise<Relay> {
  const isNear = guard(way)
  const accepts = (socket: Socket) =>
    isNear(socket) && (way.type === 'alias' || isAt === undefined || isAt(socket.remoteAddress ?? ''))
  const everywhere = { listen: { host: '0.0.0.0', port }, target, accepts }
  if (way.type === 'alias')
    return openRelay(way.loopback ? { ...everywhere, listen: { host: '127.0.0.1', port } } : everywhere)
  try {
    return await openRelay({ ...everywhere, listen: { host: way.address, port } })
  } catch (error) {
    if (codeOf(error) !== 'EADDRNOTAVAIL') throw error
    return openRelay(everywhere)
  }
}

/**
 * Who may use a relay: the engine's own subnets at the gateway address, or, where a user-mode network stack dials on
 * the containers' behalf, this machine at one of its own addresses. Nobody from the network outside.
 */
function guard(way: Way): (socket: Socket) => boolean {
  // The forwarder of a virtual machine dials from the loopback of this one.
  if (way.type === 'alias' && way.loopback) return () => true
  if (way.type === 'alias') return ({ remoteAddress, localAddress }) => isOwn(remoteAddress) && isOwn(localAddress)
  const subnets = new BlockList()
  for (const subnet of way.subnets) {
    const [network = '', bits = ''] = subnet.split('/')
    if (isIP(network) === 4) subnets.addSubnet(network, Number(bits), 'ipv4')
  }
  return ({ remoteAddress = '', localAddress }) => localAddress === way.address && subnets.check(remoteAddress, 'ipv4')
}

function isOwn(address: string | undefined): boolean {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return own.some((each) => !each.internal && each.address === address)
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}
