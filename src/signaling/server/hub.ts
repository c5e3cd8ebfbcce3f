import { DIALECTS } from '../dialect.ts'
import { shown } from '../frame.ts'
import type { Peer } from './peer.ts'

export interface HubHive {
  readonly peer: Peer
  readonly hiveId: string
  readonly version: string
  readonly connectedAt: string
  readonly kinds: readonly Readonly<Record<string, unknown>>[]
}

type Body = Readonly<Record<string, unknown>>

const CLOSE_REPLACED = 4000

/** Who is connected, and which request belongs to whom: what both generations share. */
export class Hub {
  readonly #hives = new Map<string, HubHive>()
  readonly #apps = new Set<Peer>()
  readonly #requesters = new Map<string, Peer>()
  /** Hive id by container id, learnt from results. */
  readonly #owners = new Map<string, string>()
  readonly #say: (line: string) => void

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  get hives(): readonly HubHive[] {
    return [...this.#hives.values()]
  }

  addApp(peer: Peer): void {
    this.#apps.add(peer)
  }

  /** The last registration of an id wins; the connection that had it before is closed. */
  addHive(hive: HubHive): void {
    const earlier = this.#hives.get(hive.hiveId)
    this.#apps.delete(hive.peer)
    this.#hives.set(hive.hiveId, hive)
    const kinds = hive.kinds.map(({ id }) => shown(id)).join(', ')
    this.#say(`hive ${shown(hive.hiveId)} registered (version ${shown(hive.version)}, kinds: ${kinds || 'none'})`)
    if (!earlier || earlier.peer === hive.peer) return
    this.#say(`hive ${shown(hive.hiveId)}: the connection that had this id before is closed`)
    earlier.peer.close(CLOSE_REPLACED, 'another hive has registered with this hive_id')
  }

  /** A late close of an old connection leaves the entry of a newer one alone. */
  remove(peer: Peer): void {
    this.#apps.delete(peer)
    for (const [key, requester] of this.#requesters) if (requester === peer) this.#requesters.delete(key)
    for (const [hiveId, hive] of this.#hives) {
      if (hive.peer !== peer) continue
      this.#hives.delete(hiveId)
      this.#say(`hive ${shown(hiveId)} is gone`)
    }
  }

  /** Forwards to the first hive that has the kind. */
  spawn(requester: Peer, body: Body): void {
    const { kind, request_id } = body
    const hive = this.hives.find(({ kinds }) => kinds.some(({ id }) => id === kind))
    const error = `no hive supports the cocoon kind: ${shown(kind)}`
    if (hive) this.#forward(hive, 'spawn', { requester, body })
    else requester.send({ type: DIALECTS[requester.generation].spawnResult, request_id, success: false, error })
  }

  /** Forwards to the hive that made the container; if that is not known, to the first there is. */
  terminate(requester: Peer, body: Body): void {
    const { container_id, request_id } = body
    const hive = this.#hives.get(this.#owners.get(String(container_id)) ?? '') ?? this.hives[0]
    const error = 'No hive registered'
    if (hive) this.#forward(hive, 'terminate', { requester, body })
    else requester.send({ type: DIALECTS[requester.generation].terminateResult, request_id, success: false, error })
  }

  /** Relays to whoever asked; to all apps if that one is gone, as it is after a restart of this server. */
  result(from: Peer, which: 'spawnResult' | 'terminateResult', body: Body): void {
    const hive = this.hives.find(({ peer }) => peer === from)
    const { type: _type, ...rest } = body
    const { container_id: containerId, request_id, success } = body
    if (hive && typeof containerId === 'string') this.#owners.set(containerId, hive.hiveId)
    this.#say(`${which} ${shown(request_id)}: ${success === true ? 'success' : `failure: ${shown(body['error'])}`}`)
    const key = `${which} ${String(request_id)}`
    const requester = this.#requesters.get(key)
    this.#requesters.delete(key)
    const receivers = requester?.isOpen ? [requester] : this.#apps
    for (const app of receivers) app.send({ type: DIALECTS[app.generation][which], ...rest })
  }

  #forward(hive: HubHive, which: 'spawn' | 'terminate', sent: { readonly requester: Peer; readonly body: Body }): void {
    const { requester, body } = sent
    const { type: _type, ...rest } = body
    this.#say(`${which} ${shown(body['request_id'])} → hive ${shown(hive.hiveId)}`)
    this.#requesters.set(`${which}Result ${String(body['request_id'])}`, requester)
    hive.peer.send({ type: DIALECTS[hive.peer.generation][which], ...rest })
  }
}
