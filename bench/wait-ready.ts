import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type HiveProcess, startHive } from './hive-process.ts'

/**
 * How long after `ready_at` the answer of `POST /spawn?wait=ready` is there, for each runner that is there.
 *
 *   node bench/wait-ready.ts [--rounds 30]
 *
 * Engines are taken from HIVE_TEST_DOCKER_HOST and HIVE_TEST_PODMAN_HOST (scripts/engines.sh env).
 */

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' } } })
const rounds = Number(values.rounds)
const worker = new URL('../examples/worker/worker.mjs', import.meta.url).pathname
const image = process.env['HIVE_TEST_IMAGE_HTTPD'] ?? 'localhost/hive-test/httpd:1'
const engines = { docker: process.env['HIVE_TEST_DOCKER_HOST'], podman: process.env['HIVE_TEST_PODMAN_HOST'] }
const there = Object.entries(engines).filter(([, host]) => host !== undefined) as [string, string][]
const kinds = [
  { id: 'script', runner_type: 'script', runner_config: { command: process.execPath, args: [worker], port: 8080 } },
  ...there.map(([type]) => ({
    id: type,
    runner_type: type,
    runner_config: { image, ports: ['8080'], pull: 'never', stop_grace: 0 },
  })),
]
const directory = await mkdtemp(join(tmpdir(), 'hive-bench-'))
const hive = await startHive({
  HIVE_STATE_DIR: directory,
  HIVE_PORT: '0',
  COCOON_KINDS: JSON.stringify(kinds),
  ...Object.fromEntries(there.map(([type, host]) => [`HIVE_${type.toUpperCase()}_HOST`, host])),
})
try {
  for (const { id } of kinds) await measure(hive, id)
} finally {
  await hive.stop()
  await rm(directory, { recursive: true, force: true })
}

async function measure(on: HiveProcess, kind: string): Promise<void> {
  const late: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { status, body } = await on.call('POST', '/spawn?wait=ready', { kind })
    const answered = Date.now()
    if (status !== 201) throw new Error(`spawn answered ${status}: ${JSON.stringify(body)}`)
    late.push(answered - Date.parse(String(body['ready_at'])))
    await on.call('DELETE', `/services/${body['name']}`)
  }
  late.sort((left, right) => left - right)
  console.log(JSON.stringify({ kind, rounds, p50_ms: at(late, 0.5), p99_ms: at(late, 0.99), target_ms: 300 }))
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
