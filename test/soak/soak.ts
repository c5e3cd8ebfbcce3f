import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { HiveProcess } from '../support/crash/hive-process.ts'
import { randomFrom } from '../support/crash/seed.ts'
import { openWorld } from '../support/crash/world.ts'
import { churn } from './churn.ts'

/**
 * Kills Hive at random moments while clients create, delete, restart and visit cocoons, and checks all invariants after
 * each start. Scripts always; docker and podman where HIVE_TEST_DOCKER_HOST and HIVE_TEST_PODMAN_HOST name an engine.
 *
 *   npm run soak -- [--minutes 30] [--seed N] [--clients 6]
 *
 * Ends with one line of JSON; exit 1 if anything was violated, and then the state directory is kept.
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    clients: { type: 'string', default: '6' },
  },
})
const seed = Number(values.seed)
const random = randomFrom(seed)
const until = performance.now() + Number(values.minutes) * 60_000
const engines = Object.fromEntries(
  ['docker', 'podman'].flatMap((runner) => {
    const host = process.env[`HIVE_TEST_${runner.toUpperCase()}_HOST`]
    return host ? [[runner, host]] : []
  }),
)
const kinds = ['script', ...Object.keys(engines)]
const counts = new Map<string, number>()
const violations: string[] = []
const peaks = { rss_mb: 0, fds: 0, services: 0 }
let kills = 0
let terms = 0

const world = await openWorld({ engines, env: { HIVE_PORT_RANGE: '24000-27999' } })
process.stderr.write(`soak: seed ${seed}, ${values.minutes} min, ${kinds.join(' ')}, state ${world.directory}\n`)
try {
  let hive = await world.start()
  while (performance.now() < until && violations.length === 0) {
    await live(hive)
    await dieEarly()
    hive = await world.start()
    const records = await world.check(hive)
    peaks.services = Math.max(peaks.services, records.filter(({ state }) => state === 'running').length)
    measure(hive)
    process.stderr.write(`soak: ${kills} kills, ${[...counts].map(([key, count]) => `${key} ${count}`).join(', ')}\n`)
  }
} catch (error) {
  violations.push(error instanceof Error ? `${error.message} ${String(error.cause ?? '')}` : String(error))
}
const report = {
  seed,
  minutes: Number(values.minutes),
  runners: kinds,
  kills,
  terms,
  operations: Object.fromEntries(counts),
  ...peaks,
  violations,
}
process.stdout.write(`${JSON.stringify(report)}\n`)
await world.close(violations.length > 0)
process.exitCode = violations.length > 0 ? 1 : 0

/** Now and then the next Hive is killed, too, while it loads its table and adopts what lives. */
async function dieEarly(): Promise<void> {
  while (random() < 0.3) {
    await world.startAndSignal('SIGKILL', 100 + random() * 2_000)
    kills++
  }
}

/** A while of churn, then the end of Hive in the middle of it. */
async function live(hive: HiveProcess): Promise<void> {
  const stop = new AbortController()
  const clients = Array.from({ length: Number(values.clients) }, (_, number) =>
    churn(
      world.client(hive),
      { number, kinds, random: randomFrom(random() * 2 ** 32), counts, violations },
      stop.signal,
    ),
  )
  const died = hive.ended.then((end) => ({ end }))
  const early = await Promise.race([died, delay(2_000 + random() * 12_000)])
  if (early) violations.push(`Hive ended by itself with ${early.end.code ?? early.end.signal}`)
  measure(hive)
  const gently = random() < 0.1
  if (gently) terms++
  else kills++
  const ended = hive.end(gently ? 'SIGTERM' : 'SIGKILL')
  stop.abort()
  await Promise.all([ended, ...clients])
}

function measure({ pid }: HiveProcess): void {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    peaks.rss_mb = Math.max(peaks.rss_mb, Math.round(Number(kilobytes) / 1024))
    peaks.fds = Math.max(peaks.fds, readdirSync(`/proc/${pid}/fd`).length)
  } catch {
    // It has ended meanwhile.
  }
}
