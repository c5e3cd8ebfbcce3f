import type { Logger } from 'pino'
import { plainName } from '../services/names.ts'
import type { ServiceRow } from '../services/state/record.ts'
import type { DocumentStore } from '../services/table/table.ts'
import type { ServiceView } from '../services/view.ts'

const COLLECTION = 'former_containers'
/** Shorter beginnings fit by accident. */
const SHORTEST_PREFIX = 4

export type Found = { readonly row: ServiceRow } | 'unknown' | 'ambiguous'

/**
 * Finds the service that a terminate means, among the living and those removed in the last 24 hours: by name,
 * `cocoons:name`, service id, any container id it ever had, or an unambiguous beginning of one. Container ids that a
 * service has left behind (a re-created container) are kept durably.
 */
export class TerminateTargets {
  readonly #view: ServiceView
  readonly #documents: DocumentStore
  readonly #log: Logger
  /** Service id by a container id that is its no more. */
  readonly #former = new Map<string, string>()
  #off: () => void = () => {}

  constructor(view: ServiceView, documents: DocumentStore, log: Logger) {
    this.#view = view
    this.#documents = documents
    this.#log = log
  }

  /** Reads what earlier Hives kept, drops what belongs to forgotten services, and watches from now on. */
  async load(): Promise<void> {
    this.#off = this.#view.onChange((row, previous) => {
      const before = previous?.record.container_id ?? null
      if (before !== null && before !== row.record.container_id) void this.#keep(before, row.record.id)
    })
    for (const [containerId, id] of await this.#documents.documents(COLLECTION)) {
      if (typeof id === 'string' && this.#view.byId(id) !== null) this.#former.set(containerId, id)
      else await this.#documents.dropDocument(COLLECTION, containerId)
    }
  }

  close(): void {
    this.#off()
  }

  find(target: string): Found {
    const exact = this.#view.byName(plainName(target)) ?? this.#view.byId(target) ?? this.#byContainer(target)
    if (exact !== null) return { row: exact }
    if (target.length < SHORTEST_PREFIX) return 'unknown'
    const ids = new Set(this.#containerIds().flatMap(([containerId, id]) => (containerId.startsWith(target) ? id : [])))
    const [id] = ids
    const row = id === undefined ? null : this.#view.byId(id)
    if (ids.size > 1) return 'ambiguous'
    return row === null ? 'unknown' : { row }
  }

  #byContainer(containerId: string): ServiceRow | null {
    const [, id] = this.#containerIds().find(([known]) => known === containerId) ?? []
    return id === undefined ? null : this.#view.byId(id)
  }

  #containerIds(): readonly (readonly [containerId: string, id: string])[] {
    const current = [...this.#view.rows()].flatMap(({ record: { id, container_id } }) =>
      container_id === null ? [] : [[container_id, id] as const],
    )
    return [...current, ...[...this.#former].filter(([, id]) => this.#view.byId(id) !== null)]
  }

  async #keep(containerId: string, id: string): Promise<void> {
    this.#former.set(containerId, id)
    try {
      await this.#documents.putDocument(COLLECTION, containerId, id)
    } catch (error) {
      this.#log.warn({ err: error, id }, 'a former container id could not be kept')
    }
  }
}
