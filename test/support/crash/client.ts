import { randomBytes, randomUUID } from 'node:crypto'
import type { ServiceRecord } from '../../../src/services/state/record.ts'
import type { HiveProcess } from './hive-process.ts'
import { type Ledger, noteSeen } from './ledger.ts'

const CALL_LIMIT_MS = 40_000

export interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
  readonly text: string
}

/** A client that writes down every answer. A call that got none is null: its outcome is not known. */
export class RecordingClient {
  readonly #hive: HiveProcess
  readonly #ledger: Ledger

  constructor(hive: HiveProcess, ledger: Ledger) {
    this.#hive = hive
    this.#ledger = ledger
  }

  /** Spawns with a planted secret. @param query  such as `?wait=ready&timeout_s=20`. */
  async create(kind: string, name: string, query = '?wait=ready&timeout_s=30'): Promise<Reply | null> {
    const asked = { requestId: randomUUID(), name }
    const secret = `planted-${randomBytes(16).toString('hex')}`
    plant(this.#ledger, secret)
    this.#ledger.unsure.set(asked.requestId, asked)
    const body = { kind, name, request_id: asked.requestId, setup_token: secret }
    const reply = await this.call('POST', `/spawn${query}`, body)
    if (reply === null) return null
    this.#ledger.unsure.delete(asked.requestId)
    const record = (reply.body.service ?? reply.body) as ServiceRecord
    const isStored = reply.status < 300 || (reply.status === 424 && record.request_id === asked.requestId)
    if (isStored) this.#ledger.created.set(record.id, asked)
    else this.#ledger.refused.set(asked.requestId, asked)
    return reply
  }

  async remove(name: string, query = ''): Promise<Reply | null> {
    const reply = await this.call('DELETE', `/services/${name}${query}`)
    if (reply !== null && reply.status < 300) this.#ledger.deleted.add(reply.body.id)
    return reply
  }

  change(verb: 'stop' | 'start' | 'restart', name: string, query = '?wait=ready&timeout_s=30'): Promise<Reply | null> {
    return this.call('POST', `/services/${name}/${verb}${query}`)
  }

  show(name: string, query = ''): Promise<Reply | null> {
    return this.call('GET', `/services/${name}${query}`)
  }

  /** Every record there is, tombstones too. */
  async list(): Promise<readonly ServiceRecord[]> {
    const records: ServiceRecord[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Reply | null = await this.call('GET', `/services?limit=1000&include=removed${cursor}`)
      if (page?.status !== 200) throw new Error(`GET /services answered ${page?.status ?? 'nothing'}`)
      records.push(...page.body.services)
      for (const record of page.body.services) noteSeen(this.#ledger, record)
      cursor = page.body.next_cursor === null ? null : `&cursor=${page.body.next_cursor}`
    }
    return records
  }

  /** One request through the proxy. */
  async visit(name: string, path = '', limitMs = 5_000): Promise<Reply | null> {
    try {
      const answer = await fetch(`${this.#hive.url}/cocoons/${name}/${path}`, { signal: AbortSignal.timeout(limitMs) })
      return parsed(answer.status, await answer.text())
    } catch {
      return null
    }
  }

  async call(method: string, path: string, body?: unknown): Promise<Reply | null> {
    try {
      const answer = await fetch(this.#hive.url + path, {
        method,
        headers: {
          authorization: `Bearer ${this.#hive.token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(CALL_LIMIT_MS),
      })
      return this.#noted(parsed(answer.status, await answer.text()))
    } catch {
      return null
    }
  }

  #noted(reply: Reply): Reply {
    const record = (reply.body?.service ?? reply.body) as ServiceRecord | null
    if (typeof record?.id === 'string' && typeof record.revision === 'number') noteSeen(this.#ledger, record)
    return reply
  }
}

/** The newest few hundred: all that an endless run ever planted would take too long to look for. */
function plant({ secrets }: Ledger, secret: string): void {
  secrets.add(secret)
  const [oldest] = secrets
  if (secrets.size > 300 && oldest !== undefined) secrets.delete(oldest)
}

function parsed(status: number, text: string): Reply {
  try {
    return { status, text, body: JSON.parse(text) }
  } catch {
    return { status, text, body: null }
  }
}
