import type { Logger } from 'pino'
import { isHiveError } from '../errors.ts'
import type { ServiceRow } from '../services/state/record.ts'
import type { Supervisor } from '../services/supervisor.ts'
import type { ServiceView } from '../services/view.ts'
import { isHopeless } from '../services/waiting.ts'
import { failedDelete, failedStart, refusedSpawn, unknownContainer } from './failure-text.ts'
import { keyOf, type Ledger, type Owed } from './ledger.ts'
import { type Asked, failed, type Result, type SpawnAsked, type TerminateAsked } from './request.ts'
import { RowWaits } from './row-waits.ts'
import type { TerminateTargets } from './targets.ts'

export interface DeskParts {
  readonly supervisor: Pick<Supervisor, 'spawn' | 'intend'>
  readonly view: ServiceView
  readonly ledger: Ledger
  readonly targets: TerminateTargets
  readonly log: Logger
  readonly maxCocoons: number
  /** Called once per request, when its result is durable. */
  readonly onResult: (result: Result) => void
}

/** Requests that are worked on at the same time; a flood beyond it is refused at once. */
const MOST_AT_ONCE = 10_000

/**
 * Works off what the signaling server asks for, each request by itself, through the same supervisor as the HTTP API.
 * A request id that is being worked on is not begun twice; one that was answered is answered again with what became
 * of it.
 */
export class Desk {
  readonly #parts: DeskParts
  readonly #waits: RowWaits
  readonly #pending = new Map<string, Asked>()
  readonly #work = new Set<Promise<void>>()
  #closed = false

  constructor(parts: DeskParts) {
    this.#parts = parts
    this.#waits = new RowWaits(parts.view)
  }

  get pending(): number {
    return this.#pending.size
  }

  /** Goes on with what an earlier Hive began. */
  resume(owed: readonly Owed[]): void {
    for (const each of owed) {
      if ('result' in each) this.#parts.onResult(each.result)
      else if ('lost' in each)
        void this.#answer(failed(each.lost, each.requestId, 'create service failed: secrets lost'))
      else this.#begin(each.asked, () => this.#perform(each.asked, each.serviceId))
    }
  }

  /** Takes a request on; everything else happens by itself. Never throws. */
  take(asked: Asked): void {
    const { log } = this.#parts
    const key = keyOf(asked)
    const earlier = this.#pending.get(key)
    if (this.#closed) return
    if (earlier) {
      const isSame = JSON.stringify(earlier) === JSON.stringify(asked)
      if (isSame) log.debug({ request_id: asked.requestId }, 'signaling: asked again while it is being done')
      else log.warn({ request_id: asked.requestId }, 'signaling: this request id is being used for another request')
    } else if (this.#pending.size >= MOST_AT_ONCE) {
      const error = asked.type === 'spawn' ? 'create service failed' : 'delete service failed'
      this.#parts.onResult(failed(asked.type, asked.requestId, `${error}: too many requests at once`))
    } else {
      this.#begin(asked, () => (asked.type === 'spawn' ? this.#oweAndSpawn(asked) : this.#oweAndTerminate(asked)))
    }
  }

  /** Leaves what is going on to the next Hive; resolves when nothing here touches the table any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#waits.close()
    await Promise.all(this.#work)
  }

  #begin(asked: Asked, run: () => Promise<Result | null>): void {
    const key = keyOf(asked)
    this.#pending.set(key, asked)
    const work = this.#run(asked, run).finally(() => {
      this.#pending.delete(key)
      this.#work.delete(work)
    })
    this.#work.add(work)
  }

  async #run(asked: Asked, run: () => Promise<Result | null>): Promise<void> {
    const { log, maxCocoons } = this.#parts
    const result = await run().catch((error: unknown) => {
      log.error({ err: error, request_id: asked.requestId }, `signaling: a ${asked.type} failed`)
      const text = asked.type === 'spawn' ? refusedSpawn(error, asked.kind, maxCocoons) : failedDelete(error)
      return failed(asked.type, asked.requestId, text)
    })
    if (result !== null) await this.#answer(result)
  }

  async #answer(result: Result): Promise<void> {
    const { ledger, log, onResult } = this.#parts
    const { type, requestId: request_id, success, error } = result
    // What cannot be kept is still sent: it is lost only if Hive dies before the server has it.
    await ledger.conclude(result).catch((err: unknown) => {
      log.warn({ err, request_id }, 'signaling: a result could not be kept')
    })
    log.info({ request_id, success, ...(error !== null && { error }) }, `signaling: ${type} done`)
    onResult(result)
  }

  async #oweAndSpawn(asked: SpawnAsked): Promise<Result | null> {
    try {
      await this.#parts.ledger.owe(asked, null)
    } catch (error) {
      return failed('spawn', asked.requestId, refusedSpawn(error, asked.kind, this.#parts.maxCocoons))
    }
    return this.#spawn(asked)
  }

  async #oweAndTerminate(asked: TerminateAsked): Promise<Result | null> {
    const found = this.#parts.targets.find(asked.target)
    if (found === 'unknown') return failed('terminate', asked.requestId, unknownContainer(asked.target))
    if (found === 'ambiguous')
      return failed('terminate', asked.requestId, 'delete service failed: several containers begin like this')
    const { id } = found.row.record
    try {
      await this.#parts.ledger.owe(asked, id)
    } catch (error) {
      return failed('terminate', asked.requestId, failedDelete(error))
    }
    return this.#terminate(asked, id)
  }

  #perform(asked: Asked, serviceId: string | null): Promise<Result | null> {
    if (asked.type === 'spawn') return this.#spawn(asked)
    return serviceId === null ? this.#oweAndTerminate(asked) : this.#terminate(asked, serviceId)
  }

  /** The supervisor knows the request id again: after a crash this finds the service that was already made. */
  async #spawn(asked: SpawnAsked): Promise<Result | null> {
    const { supervisor, maxCocoons } = this.#parts
    const { requestId, kind, name, setupToken } = asked
    try {
      const request = { kind, requestId, name: name ?? undefined, setupToken: setupToken ?? undefined }
      const { row } = await supervisor.spawn(request)
      const settled = await this.#waits.until(row, hasRunOrCannot)
      return settled === null ? null : spawnResult(requestId, settled)
    } catch (error) {
      // The entry stays: the next Hive does it.
      if (isHiveError(error, 'HIVE_SHUTTING_DOWN')) return null
      return failed('spawn', requestId, refusedSpawn(error, kind, maxCocoons))
    }
  }

  async #terminate({ requestId }: TerminateAsked, id: string): Promise<Result | null> {
    const { supervisor, view } = this.#parts
    const done: Result = { type: 'terminate', requestId, success: true, containerId: null, error: null }
    const row = view.byId(id)
    if (row === null || isRemoved(row)) return done
    try {
      const asked = await supervisor.intend(id, { desired: 'removed', by: 'signaling' })
      return (await this.#waits.until(asked, isRemoved)) === null ? null : done
    } catch (error) {
      const now = view.byId(id)
      return now === null || isRemoved(now) ? done : failed('terminate', requestId, failedDelete(error))
    }
  }
}

/** Its first `running` decides, even if it has ended since; without one the end does, if no attempt is to follow. */
function hasRunOrCannot(row: ServiceRow): boolean {
  return row.record.ready_at !== null || isHopeless(row)
}

function isRemoved(row: ServiceRow): boolean {
  return row.record.state === 'removed'
}

/** Scripts have no container: their name is what a terminate names. */
function spawnResult(requestId: string, row: ServiceRow): Result {
  const { ready_at, container_id, name } = row.record
  if (ready_at === null) return failed('spawn', requestId, failedStart(row))
  return { type: 'spawn', requestId, success: true, containerId: container_id ?? name, error: null }
}
