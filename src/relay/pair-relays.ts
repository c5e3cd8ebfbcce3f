import type { Logger } from 'pino'
import type { DocumentStore } from '../services/table/table.ts'
import { isPortTaken, listenNear, type Way } from './near.ts'
import type { Relay, RelayTarget } from './relay.ts'

const COLLECTION = 'uses_relays'

/** One cocoon and one name that it uses. */
export interface Pair {
  readonly consumer: string
  readonly name: string
}

interface Entry extends Pair {
  readonly way: Way
  readonly port: number
}

export interface PairRelaysOptions {
  readonly documents: DocumentStore
  readonly log: Logger
  /** Where a pair leads right now: asked for each connection, so that the address outlives what is behind it. */
  readonly targetOf: (pair: Pair) => RelayTarget | null
  /** Whether this consumer dials from this address of its engine's network. */
  readonly isAt: (consumer: string, address: string) => Promise<boolean>
}

/**
 * The relays by which a container reaches what it uses: one for each pair. Its address stands in the environment of the
 * container, which no restart changes, so each keeps its port as long as the container is there, over restarts of Hive.
 */
export class PairRelays {
  readonly #options: PairRelaysOptions
  readonly #open = new Map<string, { readonly entry: Entry; readonly relay: Promise<Relay> }>()

  constructor(options: PairRelaysOptions) {
    this.#options = options
  }

  /** Opens again what an earlier Hive had open. */
  async restore(): Promise<void> {
    for (const [key, body] of await this.#options.documents.documents(COLLECTION))
      await this.#relay(key, body as Entry).catch((err: unknown) =>
        this.#options.log.warn({ err }, 'a relay to what a cocoon uses cannot be opened'),
      )
  }

  /**
   * The address at which the containers of this access reach what the pair leads to.
   * @throws the listener's error. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL
   */
  async reach(way: Way, pair: Pair): Promise<RelayTarget> {
    const host = way.type === 'gateway' ? way.address : way.host
    const { port } = await this.#relay(keyOf(pair, host), { ...pair, way, port: 0 })
    return { host, port }
  }

  /** Closes what was open for consumers that are gone, and forgets it. */
  async keepOnly(isWanted: (consumer: string) => boolean): Promise<void> {
    for (const [key, { entry, relay }] of this.#open) {
      if (isWanted(entry.consumer)) continue
      this.#open.delete(key)
      await relay.then((one) => one.close()).catch(() => undefined) // it never opened
      await this.#options.documents.dropDocument(COLLECTION, key)
    }
  }

  async close(): Promise<void> {
    const relays = await Promise.allSettled([...this.#open.values()].map(({ relay }) => relay))
    await Promise.all(relays.map((relay) => (relay.status === 'fulfilled' ? relay.value.close() : undefined)))
  }

  #relay(key: string, entry: Entry): Promise<Relay> {
    const known = this.#open.get(key)
    if (known) return known.relay
    const relay = this.#start(key, entry)
    this.#open.set(key, { entry, relay })
    relay.catch(() => this.#open.delete(key)) // the caller hears of it; the next one tries again
    return relay
  }

  async #start(key: string, entry: Entry): Promise<Relay> {
    const { log, documents, targetOf, isAt } = this.#options
    const { way, port, consumer, name } = entry
    const parts = { target: () => targetOf({ consumer, name }), isAt: (address: string) => isAt(consumer, address) }
    const relay = await listenNear(way, { ...parts, port }).catch((error: unknown) => {
      if (port === 0 || !isPortTaken(error)) throw error
      log.warn({ port, id: consumer, uses: name }, 'the port of a relay was taken: the container has its old address')
      return listenNear(way, { ...parts, port: 0 })
    })
    if (relay.port === port) return relay
    await documents.putDocument(COLLECTION, key, { ...entry, port: relay.port }).catch(async (error: unknown) => {
      await relay.close()
      throw error
    })
    log.info({ way, id: consumer, uses: name, port: relay.port }, 'relay open')
    return relay
  }
}

function keyOf({ consumer, name }: Pair, host: string): string {
  return `${consumer} ${name} ${host}`
}
