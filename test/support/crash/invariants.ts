import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { isEnded, type ServiceRecord } from '../../../src/services/state/record.ts'
import { RecordingClient } from './client.ts'
import { containersOf } from './engine-objects.ts'
import type { HiveProcess } from './hive-process.ts'
import type { Ledger } from './ledger.ts'
import { processesOf, workersOf } from './live-processes.ts'

export interface Scene {
  readonly hive: HiveProcess
  readonly ledger: Ledger
  readonly run: string
  readonly instance: string
  /** Engine sockets to look into, by runner. */
  readonly engines: Readonly<Record<string, string>>
  /** What the Hives of this scene have written. */
  logs(): string
  /** Pids and start times of what Hive must never touch. */
  readonly bystanders: readonly (() => boolean)[]
}

const QUIET_MS = 30_000
const ALIVE_MS = 1_000

/**
 * Waits until nothing is going on any more, then checks I1 to I7 and I10 of the fault matrix with eyes other than
 * Hive's: the kernel's process table and the engines' own lists.
 */
export async function assertInvariants(scene: Scene): Promise<readonly ServiceRecord[]> {
  const { records, live } = await stillScene(scene)
  assertOneToOne(records, live)
  assertAcknowledged(scene.ledger, records)
  await assertRoutes(scene, records)
  assertSecrets(scene, records)
  for (const stillThere of scene.bystanders) assert.ok(stillThere(), 'I5: a bystander was touched')
  return records
}

/**
 * Records and what lives, of one moment: between the end of an attempt and the row of the next a record looks as if
 * it had come to rest.
 */
async function stillScene(scene: Scene) {
  const client = new RecordingClient(scene.hive, scene.ledger)
  const end = performance.now() + QUIET_MS
  for (;;) {
    const records = await quiet(scene)
    const live = await liveObjects(scene)
    const revisions = new Map((await client.list()).map(({ id, revision }) => [id, revision]))
    const moved = records.filter(({ id, revision }) => revisions.get(id) !== revision)
    if (moved.length === 0) return { records, live }
    if (performance.now() > end) assert.fail(`no rest within ${QUIET_MS} ms: ${moved.map(describe).join('; ')}`)
  }
}

/** All records, once each is where it is wanted to be. */
async function quiet(scene: Scene): Promise<readonly ServiceRecord[]> {
  const client = new RecordingClient(scene.hive, scene.ledger)
  const end = performance.now() + QUIET_MS
  for (;;) {
    await assertAlive(scene.hive)
    const records = await client.list()
    const busy = records.filter((record) => !isSettled(record))
    if (busy.length === 0) return records
    if (performance.now() > end)
      assert.fail(`not quiet within ${QUIET_MS} ms: ${busy.map(describe).join('; ')}\n${scene.logs().slice(-4000)}`)
    await delay(50)
  }
}

function isSettled({ state, desired, next_attempt_at, ready }: ServiceRecord): boolean {
  if (desired === 'removed') return state === 'removed'
  if (state === 'running') return desired === 'running' && ready
  return (isEnded(state) && next_attempt_at === null) || state === 'removed'
}

/** Late once may be the machine's fault, which does other things, too; late time and again is Hive's. */
async function assertAlive({ url }: HiveProcess): Promise<void> {
  for (let left = 4; ; left--) {
    try {
      const answer = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(ALIVE_MS) })
      await answer.text()
      assert.equal(answer.status, 200, 'I10: /livez')
      return
    } catch (error) {
      if (left === 0) throw new Error(`I10: /livez does not answer within ${ALIVE_MS} ms`, { cause: error })
    }
  }
}

interface LiveObject {
  readonly id: string
  /** Null = a container, which is started again for later attempts. */
  readonly attempt: number | null
  readonly running: boolean
  readonly facts: string
}

async function liveObjects({ run, instance, engines }: Scene): Promise<readonly LiveObject[]> {
  const workers = workersOf(run).map(({ mark, facts }): LiveObject => {
    const [id = '', attempt] = (mark ?? '').split('.')
    return { id, attempt: Number(attempt), running: true, facts: `${mark}: ${facts}` }
  })
  const lists = await Promise.all(Object.values(engines).map((host) => containersOf(host, instance)))
  return [
    ...workers,
    ...lists.flat().map(({ id: facts, serviceId, running }) => ({ id: serviceId, attempt: null, running, facts })),
  ]
}

function assertOneToOne(records: readonly ServiceRecord[], live: readonly LiveObject[]): void {
  const byId = new Map(records.map((record) => [record.id, record]))
  for (const { id, attempt, running, facts } of live) {
    const record = byId.get(id)
    assert.ok(record, `I1: something of ${id} exists that no row knows (${facts})`)
    assert.notEqual(
      record.state,
      'removed',
      `I3: ${describe(record)} was removed, but something of it exists (${facts})`,
    )
    if (!running) continue
    assert.equal(record.state, 'running', `I1: ${describe(record)}, but it lives (${facts})`)
    if (attempt !== null) assert.equal(attempt, record.attempt, `I2: ${describe(record)}, but attempt ${attempt} lives`)
    assert.equal(live.filter((other) => other.id === id && other.running).length, 1, `I2: ${describe(record)} twice`)
  }
  for (const record of records.filter(({ state }) => state === 'running'))
    assert.ok(
      live.some(({ id, running }) => id === record.id && running),
      `I1: ${describe(record)}, but nothing of it lives`,
    )
}

function assertAcknowledged(ledger: Ledger, records: readonly ServiceRecord[]): void {
  const byId = new Map(records.map((record) => [record.id, record]))
  for (const [id, { name, requestId }] of ledger.created) {
    const record = byId.get(id)
    assert.ok(record, `I3: the acknowledged create of ${name} is gone without a trace`)
    assert.equal(record.request_id, requestId, `I3: ${name} has another request id`)
  }
  for (const id of ledger.deleted)
    assert.equal(byId.get(id)?.state, 'removed', `I3: the acknowledged delete of ${id} did not hold`)
  const requests = new Set(records.map(({ request_id }) => request_id))
  for (const { requestId, name } of ledger.refused.values())
    assert.ok(!requests.has(requestId), `I3: the refused create of ${name} appeared`)
  for (const [id, seen] of ledger.seen) {
    const record = byId.get(id)
    assert.ok(record, `I4: ${id} was shown and is gone without a trace`)
    assert.ok(record.attempt >= seen.attempt && record.revision >= seen.revision, `I4: ${describe(record)} went back`)
  }
}

/** I6: whatever answers under a name is that name's current attempt; where none runs, nothing does. */
async function assertRoutes(scene: Scene, records: readonly ServiceRecord[]): Promise<void> {
  const client = new RecordingClient(scene.hive, scene.ledger)
  for (const name of new Set(records.map((record) => record.name))) {
    const record = records.find((one) => one.name === name && one.state === 'running' && one.url !== null)
    const reply = await client.visit(name)
    if (record === undefined) {
      assert.notEqual(reply?.status, 200, `I6: nothing of ${name} runs, but its route answers`)
      continue
    }
    const answer = reply?.status === 200 ? reply : await until200(client, name)
    if (record.runner !== 'script') continue
    assert.equal(answer.body?.mark, `${record.id}.${record.attempt}`, `I6: ${describe(record)}: somebody else answers`)
  }
}

/** After a restart of Hive a route opens only when the listener has been seen. */
async function until200(client: RecordingClient, name: string) {
  const end = performance.now() + 5_000
  for (;;) {
    const reply = await client.visit(name)
    if (reply?.status === 200) return reply
    assert.ok(performance.now() < end, `I6: the route of ${name} answers ${reply?.status} ${reply?.text}`)
    await delay(50)
  }
}

function assertSecrets({ ledger, run, logs }: Scene, records: readonly ServiceRecord[]): void {
  const places = {
    'the log': logs(),
    'an answer': JSON.stringify(records),
    'a command line': processesOf(run)
      .map(({ commandLine }) => commandLine)
      .join('\n'),
  }
  for (const secret of ledger.secrets)
    for (const [place, text] of Object.entries(places)) assert.ok(!text.includes(secret), `I7: a secret is in ${place}`)
}

function describe({ name, id, state, attempt, desired, error }: ServiceRecord): string {
  return `${name} (${id}) is ${state}#${attempt}, wanted ${desired}${error ? `, ${error.code}: ${error.detail}` : ''}`
}
