import { isLoopbackHost } from '../config/loopback.ts'
import type { RelayTarget } from '../relay/relay.ts'
import type { Relays } from '../relay/relays.ts'
import { LaunchRefused, type RunnerDriver, type RunnerHandle, reachesHost } from '../runners/driver.ts'
import { cocoonUrl } from './url.ts'

/** The signaling URL as the cocoons of a runner reach it. @throws LaunchRefused  they cannot. @throws RunnerUnreachable */
export type SignalingReach = (
  driver: RunnerDriver,
  handle: RunnerHandle | null,
  signal: AbortSignal,
) => Promise<string | null>

/** A URL on loopback means another machine inside a container: there it leads through a relay. */
export function signalingReach(url: string | null, relays: Relays): SignalingReach {
  if (url === null) return async () => null
  const plain = cocoonUrl(url)
  const target = loopbackTarget(url)
  return async (driver, handle, signal) => {
    if (target === null || !reachesHost(driver)) return plain
    const access = await driver.hostAccess(handle, signal)
    if (access.type === 'none') throw unreachable(access.reason)
    if (access.type === 'alias' && access.loopback) return withAddress(plain, { ...target, host: access.host })
    try {
      return withAddress(plain, await relays.reach(access, target))
    } catch (cause) {
      throw unreachable(`its relay cannot be opened: ${(cause as Error).message}`, cause)
    }
  }
}

/** Where a URL on loopback leads; null = it is not on loopback. */
export function loopbackTarget(url: string): RelayTarget | null {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (!isLoopbackHost(host) && !/(?:^|\.)localhost\.?$/i.test(host)) return null
  return { host, port: port === '' ? (protocol === 'wss:' ? 443 : 80) : Number(port) }
}

function withAddress(text: string, { host, port }: RelayTarget): string {
  const url = new URL(text)
  url.hostname = host
  url.port = String(port)
  return url.href
}

const MEND = 'set SIGNALING_SERVER_URL to an address of this machine that containers reach'

function unreachable(reason: string, cause?: unknown): LaunchRefused {
  const message = `SIGNALING_SERVER_URL is on loopback and its containers cannot reach it: ${reason}; ${MEND}`
  return new LaunchRefused(message, cause === undefined ? {} : { cause })
}
