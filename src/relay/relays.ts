import { BlockList, isIP, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Logger } from 'pino'
import type { HostAccess } from '../runners/driver.ts'
import type { DocumentStore } from '../services/table.ts'
import { openRelay, type Relay, type RelayTarget } from './relay.ts'

const COLLECTION = 'relays'

type Way = Extract<HostAccess, { type: 'gateway' | 'alias' }>

interface Entry {
  readonly way: Way
  readonly target: RelayTarget
  readonly port: number
}

/**
 * The relays by which containers reach something on this machine's loopback. Each keeps its port across restarts of
 * Hive, because the address stands in the environment of containers that outlive it.
 */
export class Relays {
  readonly #documents: DocumentStore
  readonly #log: Logger
  readonly #open = new Map<string, Promise<Relay>>()

  constructor(documents: DocumentStore, log: Logger) {
    this.#documents = documents
    this.#log = log
  }

  /** Opens again what an earlier Hive had open, for the containers that are still there. @param isWanted  else it is forgotten. */
  async restore(isWanted: (target: RelayTarget) => boolean): Promise<void> {
    for (const [key, body] of await this.#documents.documents(COLLECTION)) {
      const { way, target, port } = body as Entry
      if (!isWanted(target)) await this.#documents.dropDocument(COLLECTION, key)
      else
        await this.#relay(key, { way, target, port }).catch((err: unknown) =>
          this.#log.warn({ err }, 'a relay cannot be opened'),
        )
    }
  }

  /**
   * The address at which the containers of this access reach the target.
   * @throws the listener's error. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL
   */
  async reach(way: Way, target: RelayTarget): Promise<RelayTarget> {
    const host = way.type === 'gateway' ? way.address : way.host
    const { port } = await this.#relay(`${host} ${target.host}:${target.port}`, { way, target, port: 0 })
    return { host, port }
  }

  async close(): Promise<void> {
    const relays = await Promise.allSettled(this.#open.values())
    await Promise.all(relays.map((relay) => (relay.status === 'fulfilled' ? relay.value.close() : undefined)))
  }

  #relay(key: string, entry: Entry): Promise<Relay> {
    const known = this.#open.get(key)
    if (known) return known
    const opening = this.#start(key, entry)
    this.#open.set(key, opening)
    opening.catch(() => this.#open.delete(key)) // the caller hears of it; the next one tries again
    return opening
  }

  async #start(key: string, { way, target, port }: Entry): Promise<Relay> {
    const relay = await listenNear(way, target, port).catch((error: unknown) => {
      if (port === 0 || codeOf(error) !== 'EADDRINUSE') throw error
      this.#log.warn({ port }, 'the port of a relay was taken: containers made before have its old address')
      return listenNear(way, target, 0)
    })
    const entry: Entry = { way, target, port: relay.port }
    await this.#documents.putDocument(COLLECTION, key, entry).catch(async (error: unknown) => {
      await relay.close()
      throw error
    })
    this.#log.info({ way, target, port: relay.port }, 'relay open')
    return relay
  }
}

/** On the gateway address itself; Podman makes its bridge only with its first container, until then on all. */
async function listenNear(way: Way, target: RelayTarget, port: number): Promise<Relay> {
  const accepts = guard(way)
  const everywhere = { listen: { host: '0.0.0.0', port }, target, accepts }
  if (way.type === 'alias') return openRelay(everywhere)
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
