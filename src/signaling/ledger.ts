import type { DocumentStore } from '../services/table/table.ts'
import type { Vault } from '../services/table/vault.ts'
import type { Asked, Result } from './request.ts'

const COLLECTION = 'signaling'
/** A server that stays away longer than this has forgotten what it asked for. */
const KEEP_MS = 7 * 24 * 60 * 60 * 1000

/** What is owed for one request: work that must end in a result, or a result that must reach the server. */
export type Owed =
  | { readonly asked: Asked; readonly serviceId: string | null }
  | { readonly result: Result }
  /** The key that sealed it is gone. */
  | { readonly lost: Asked['type']; readonly requestId: string }

/** The durable form. A setup token stands in it only sealed, and only until there is a result. */
type Entry =
  | {
      readonly at: string
      readonly owes: 'work'
      readonly asked: Asked
      readonly sealed: string | null
      readonly serviceId: string | null
    }
  | { readonly at: string; readonly owes: 'result'; readonly result: Result }

/**
 * The durable list of what Hive owes the signaling server, by type and request id. An entry is there before anything
 * is done about its request, and goes when the server has its result: a crash in between loses neither.
 */
export class Ledger {
  readonly #documents: DocumentStore
  readonly #vault: Vault
  readonly #now: () => Date

  constructor(parts: { readonly documents: DocumentStore; readonly vault: Vault; readonly now: () => Date }) {
    this.#documents = parts.documents
    this.#vault = parts.vault
    this.#now = parts.now
  }

  /** Everything owed since before this Hive started. Entries past their time are dropped. */
  async load(): Promise<readonly Owed[]> {
    const owed: Owed[] = []
    for (const [key, body] of await this.#documents.documents(COLLECTION)) {
      const entry = body as Entry
      if (this.#now().getTime() - Date.parse(entry.at) > KEEP_MS) await this.#documents.dropDocument(COLLECTION, key)
      else owed.push(this.#read(key, entry))
    }
    return owed
  }

  /** @param serviceId  what a terminate was found to mean. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL */
  async owe(asked: Asked, serviceId: string | null): Promise<void> {
    const key = keyOf(asked)
    const isSecret = asked.type === 'spawn' && asked.setupToken !== null
    const sealed = isSecret ? this.#seal(key, asked.setupToken) : null
    const open = isSecret ? { ...asked, setupToken: null } : asked
    await this.#put(key, { at: this.#at(), owes: 'work', asked: open, sealed, serviceId })
  }

  /** The work is done: from now on its result is owed. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL */
  async conclude(result: Result): Promise<void> {
    await this.#put(keyOf(result), { at: this.#at(), owes: 'result', result })
  }

  /** The server has the result. @throws HIVE_STORE_FAILED, HIVE_STORE_FULL */
  async settle(key: string): Promise<void> {
    await this.#documents.dropDocument(COLLECTION, key)
  }

  #read(key: string, entry: Entry): Owed {
    if (entry.owes === 'result') return { result: entry.result }
    const { asked, sealed, serviceId } = entry
    if (sealed === null || asked.type !== 'spawn') return { asked, serviceId }
    const setupToken = this.#open(key, sealed)
    if (setupToken === null) return { lost: asked.type, requestId: asked.requestId }
    return { asked: { ...asked, setupToken }, serviceId }
  }

  #seal(key: string, setupToken: string): string {
    const secrets = { kindEnvironment: {}, requestEnvironment: {}, setupToken, cocoonSecret: '' }
    return Buffer.from(this.#vault.seal(sealName(key), secrets)).toString('base64')
  }

  #open(key: string, sealed: string): string | null {
    try {
      return this.#vault.open(sealName(key), Buffer.from(sealed, 'base64')).setupToken
    } catch {
      return null // another master key than the one it was sealed with: the caller answers with a failure
    }
  }

  #put(key: string, entry: Entry): Promise<void> {
    return this.#documents.putDocument(COLLECTION, key, entry)
  }

  #at(): string {
    return this.#now().toISOString()
  }
}

/** Spawns and terminates have request ids of their own. */
export function keyOf({ type, requestId }: Pick<Asked, 'type' | 'requestId'>): string {
  return `${type}/${requestId}`
}

function sealName(key: string): string {
  return `signaling/${key}`
}
