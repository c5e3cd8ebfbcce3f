import type { Logger } from 'pino'
import type { DocumentStore } from '../services/table/table.ts'
import { isPortTaken, listenNear, type Way } from './near.ts'
import type { Relay, RelayTarget } from './relay.ts'

const COLLECTION = 'relays'

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
    const relay = await listenNear(way, { target, port }).catch((error: unknown) => {
      if (port === 0 || !isPortTaken(error)) throw error
      this.#log.warn({ port }, 'the port of a relay was taken: containers made before have its old address')
      return listenNear(way, { target, port: 0 })
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
