import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type HiveProcess, startHive } from './hive-process.ts'
import { sayUsage } from './usage.ts'

/**
 * Kills a Hive with many records and starts it again, round after round: how long until it listens, until everything
 * that runs is adopted and served, how long a page of GET /services takes, and how much memory it has then.
 *
 *   npm run bench:boot -- [--records 1000] [--running 200] [--rounds 5] [--hive bin/hive.js]
 *
 * `--hive` names another hive.js to start, such as that of an installed package.
 * The peer of each round is a Hive without any record on the same machine.
 */

sayUsage('npm run bench:boot -- [--records 1000] [--running 200] [--rounds 5] [--hive bin/hive.js]')
const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000' },
    running: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
    hive: { type: 'string' },
  },
})
const [records, running, rounds] = [values.records, values.running, values.rounds].map(Number) as [
  number,
  number,
  number,
]
const AT_ONCE = 16
const PAGES = 50
const SETTLE_MS = 20_000
const ADOPTION_LIMIT_MS = 60_000

const kinds = [
  { id: 'runs', runner_type: 'script', runner_config: { command: '/bin/sleep', args: ['100000'] } },
  { id: 'ended', runner_type: 'script', runner_config: { command: '/bin/true', restart: 'never' } },
]
const directories = { full: newDirectory(), empty: newDirectory() }
try {
  await fill()
  for (let round = 0; round < rounds; round++) {
    report(`empty #${round + 1}`, await boot(directories.empty, 0))
    report(`${records} records, ${running} running #${round + 1}`, await boot(directories.full, running))
  }
} finally {
  const last = await start(directories.full)
  await forEach(await namesOf(last), async (name) => last.call('DELETE', `/services/${name}`))
  await last.stop()
  for (const directory of Object.values(directories)) await rm(directory, { recursive: true, force: true })
}

interface Boot {
  readonly listening_ms: number
  readonly adopted_ms: number
  readonly page_100_ms: number
  readonly page_1000_ms: number
  readonly booted_rss_mb: number
  /** After the pages. */
  readonly rss_mb: number
  /** Some seconds later. */
  readonly rest_rss_mb: number
}

async function boot(directory: string, expected: number): Promise<Boot> {
  const begun = { at: new Date().toISOString(), ms: performance.now() }
  const hive = await start(directory)
  const listening = performance.now()
  await untilAdopted(hive, expected, begun.at)
  const adopted = performance.now()
  const booted_rss_mb = residentMegabytes(hive.pid)
  const page_100_ms = await median(PAGES, () => hive.call('GET', '/services?limit=100'))
  const page_1000_ms = await median(PAGES, () => hive.call('GET', '/services?limit=1000'))
  const rss_mb = residentMegabytes(hive.pid)
  await delay(SETTLE_MS)
  const rest_rss_mb = residentMegabytes(hive.pid)
  await hive.kill()
  const times = { listening_ms: listening - begun.ms, adopted_ms: adopted - begun.ms, page_100_ms, page_1000_ms }
  return { ...times, booted_rss_mb, rss_mb, rest_rss_mb }
}

/** What runs has been seen by this Hive, and not only been read from its table. */
async function untilAdopted(hive: HiveProcess, expected: number, since: string): Promise<void> {
  const end = performance.now() + ADOPTION_LIMIT_MS
  for (;;) {
    const { body } = await hive.call('GET', '/services?state=running&limit=1000')
    const seen = (body['services'] as { observed_at: string | null }[]).filter(({ observed_at }) => {
      return observed_at !== null && observed_at >= since
    })
    if (seen.length >= expected) return
    if (performance.now() > end) throw new Error(`${seen.length} of ${expected} were adopted`)
    await delay(5)
  }
}

async function fill(): Promise<void> {
  const hive = await start(directories.full)
  const jobs = Array.from({ length: records }, (_, index) => (index < running ? 'runs' : 'ended'))
  await forEach(jobs, async (kind) => {
    const { status, body } = await hive.call('POST', '/spawn?wait=ready&timeout_s=60', { kind })
    if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`)
  })
  await hive.kill()
}

async function namesOf(hive: HiveProcess): Promise<string[]> {
  const { body } = await hive.call('GET', '/services?limit=1000')
  return (body['services'] as { name: string }[]).map(({ name }) => name)
}

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values()
  const worker = async () => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function median(times: number, work: () => Promise<unknown>): Promise<number> {
  const took: number[] = []
  for (let time = 0; time < times; time++) {
    const from = performance.now()
    await work()
    took.push(performance.now() - from)
  }
  return took.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0
}

function start(directory: string): Promise<HiveProcess> {
  const env = {
    HIVE_STATE_DIR: directory,
    HIVE_PORT: '0',
    COCOON_KINDS: JSON.stringify(kinds),
    HIVE_MAX_COCOONS: String(records + AT_ONCE),
    HIVE_LOG_LEVEL: 'info',
    ...(process.env['NODE_OPTIONS'] && { NODE_OPTIONS: process.env['NODE_OPTIONS'] }),
    ...(process.env['MALLOC_ARENA_MAX'] && { MALLOC_ARENA_MAX: process.env['MALLOC_ARENA_MAX'] }),
  }
  return startHive(env, values.hive)
}

function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'hive-bench-'))
}

function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1024
}

function report(what: string, figures: Boot): void {
  const text = Object.entries(figures).map(
    ([name, value]) => `${name} ${value.toFixed(name.startsWith('page') ? 1 : 0)}`,
  )
  process.stdout.write(`${what}: ${text.join(', ')}\n`)
}
