import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Agent, request } from 'undici'
import { type HiveProcess, startHive } from './hive-process.ts'
import { quantile } from './quantile.ts'
import { sayUsage } from './usage.ts'

/**
 * How long POST /spawn takes until its record is durable (202), beside a bare durable insert of the same size into the
 * same file system, interleaved in one run. The difference is Hive's own time.
 *
 *   npm run bench:create -- [--rounds 200] [--parallel 8]
 *
 * Nothing else runs meanwhile: what a spawn goes on to do after its answer is waited for before the next one.
 */

sayUsage('npm run bench:create -- [--rounds 200] [--parallel 8]')
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '200' }, parallel: { type: 'string', default: '8' } },
})
const [rounds, parallel] = [Number(values.rounds), Number(values.parallel)]
const WARM_UP = 50
/** A row with its event, as Hive writes them for this kind. */
const ROW_BYTES = 2_600
const ENDED_LIMIT_MS = 60_000
const kinds = [{ id: 'ended', runner_type: 'script', runner_config: { command: '/bin/true', restart: 'never' } }]

const directory = await mkdtemp(join(tmpdir(), 'hive-bench-'))
const hive = await startHive({
  HIVE_STATE_DIR: join(directory, 'hive'),
  HIVE_PORT: '0',
  COCOON_KINDS: JSON.stringify(kinds),
  HIVE_LOG_LEVEL: 'info',
})
const agent = new Agent({ connections: parallel })
const insert = openFloor(join(directory, 'floor.db'))
try {
  for (let round = 0; round < WARM_UP; round++) await burst(1)
  await measure('one by one', 1, rounds)
  await measure(`${parallel} at once`, parallel, Math.ceil(rounds / parallel))
} finally {
  await agent.close()
  await hive.stop()
  await rm(directory, { recursive: true, force: true })
}

async function measure(what: string, count: number, times: number): Promise<void> {
  const ours: number[] = []
  const bare: number[] = []
  const reads: number[] = []
  for (let round = 0; round < times; round++) {
    bare.push(insert())
    reads.push(await timed(() => call('GET', '/livez')))
    ours.push(...(await burst(count)))
  }
  const [p50, floor, read] = [ours, bare, reads].map((each) => quantile(each, 0.5)) as [number, number, number]
  const figures = {
    what,
    creates: ours.length,
    p50_ms: p50,
    p99_ms: quantile(ours, 0.99),
    floor_p50_ms: floor,
    floor_p99_ms: quantile(bare, 0.99),
    own_p50_ms: round2(p50 - floor),
    ratio: round2(p50 / floor),
    /** The cheapest request there is, by the same client: connection, HTTP and scheduling. */
    request_p50_ms: read,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}

/** So many creates at once; resolves with the time of each when all of them have ended and are gone. */
async function burst(count: number): Promise<readonly number[]> {
  const created = await Promise.all(Array.from({ length: count }, create))
  await Promise.all(created.map(({ name }) => untilEnded(hive, name)))
  await Promise.all(created.map(({ name }) => hive.call('DELETE', `/services/${name}`)))
  return created.map(({ ms }) => ms)
}

async function create(): Promise<{ readonly ms: number; readonly name: string }> {
  const since = performance.now()
  const { status, body } = await call('POST', '/spawn', { kind: 'ended' })
  const ms = performance.now() - since
  if (status !== 202) throw new Error(`spawn answered ${status}: ${JSON.stringify(body)}`)
  return { ms, name: String(body['name']) }
}

async function untilEnded({ call: ask }: HiveProcess, name: string): Promise<void> {
  const end = performance.now() + ENDED_LIMIT_MS
  for (;;) {
    const { body } = await ask('GET', `/services/${name}`)
    if (body['state'] === 'stopped' || body['state'] === 'failed') return
    if (performance.now() > end) throw new Error(`${name} did not end`)
    await delay(5)
  }
}

/** undici's own client: `fetch` alone takes longer than what is measured. */
async function call(method: 'GET' | 'POST', path: string, body?: unknown) {
  const answer = await request(hive.url + path, {
    method,
    dispatcher: agent,
    headers: {
      authorization: `Bearer ${hive.token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await answer.body.text()
  return { status: answer.statusCode, body: JSON.parse(text) as Record<string, unknown> }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now()
  await work()
  return performance.now() - since
}

/** The bare insert, under the settings that Hive uses: what is returned is its time in milliseconds. */
function openFloor(file: string): () => number {
  const db = new DatabaseSync(file)
  db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)')
  const statement = db.prepare('INSERT INTO rows (body) VALUES (?)')
  const row = 'x'.repeat(ROW_BYTES)
  return () => {
    const since = performance.now()
    statement.run(row)
    return performance.now() - since
  }
}

function round2(value: number): number {
  return Math.round(value * 100) / 100
}
