import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Spawn → ready for each runner that is there, beside the bare start of the same worker, interleaved in one run.
 *
 *   npm run bench:spawn -- [--rounds 30]
 *
 * Engines are taken from HIVE_TEST_DOCKER_HOST and HIVE_TEST_PODMAN_HOST (scripts/engines.sh env).
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { floorOf } from './engine-floor.ts'
import { startHive } from './hive-process.ts'
import { quantile } from './quantile.ts'
import { sayUsage } from './usage.ts'

sayUsage('npm run bench:spawn -- [--rounds 30]')
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '30' } } })
const rounds = Number(values.rounds)
const worker = new URL('../examples/worker/worker.mjs', import.meta.url).pathname

const docker = process.env['HIVE_TEST_DOCKER_HOST']
const podman = process.env['HIVE_TEST_PODMAN_HOST']
const image = process.env['HIVE_TEST_IMAGE_HTTPD'] ?? 'localhost/hive-test/httpd:1'
const directory = await mkdtemp(join(tmpdir(), 'hive-bench-'))
const kinds = [
  { id: 'script', runner_type: 'script', runner_config: { command: process.execPath, args: [worker], port: 8080 } },
  ...(docker
    ? [{ id: 'docker', runner_type: 'docker', runner_config: { image, ports: ['8080'], pull: 'never' } }]
    : []),
  ...(podman
    ? [{ id: 'podman', runner_type: 'podman', runner_config: { image, ports: ['8080'], pull: 'never' } }]
    : []),
]
const hive = await startHive({
  HIVE_STATE_DIR: directory,
  HIVE_PORT: '0',
  COCOON_KINDS: JSON.stringify(kinds),
  HIVE_LOG_LEVEL: 'info',
  ...(docker && { HIVE_DOCKER_HOST: docker }),
  ...(podman && { HIVE_PODMAN_HOST: podman }),
})
try {
  await measure('script', bareStart)
  if (docker) await measure('docker', () => floorOf(docker, image))
  if (podman) await measure('podman', () => floorOf(podman, image))
} finally {
  await hive.stop()
  await rm(directory, { recursive: true, force: true })
}

async function measure(kind: string, floor: () => Promise<number>): Promise<void> {
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < rounds; round++) {
    bare.push(await floor())
    ours.push(await spawnReady(kind))
  }
  const [p50, floor50] = [quantile(ours, 0.5), quantile(bare, 0.5)]
  const figures = {
    kind,
    rounds,
    p50_ms: p50,
    floor_p50_ms: floor50,
    ratio: round2(p50 / floor50),
    p95_ms: quantile(ours, 0.95),
  }
  console.log(JSON.stringify(figures))
}

async function spawnReady(kind: string): Promise<number> {
  const since = performance.now()
  const { status, body } = await hive.call('POST', '/spawn?wait=ready', { kind })
  const took = performance.now() - since
  if (status !== 201) throw new Error(`spawn answered ${status}: ${JSON.stringify(body)}`)
  await hive.call('DELETE', `/services/${body['name']}`)
  return took
}

/** The worker started by hand, until it accepts its first request, polled each millisecond. */
async function bareStart(): Promise<number> {
  const port = await freePort()
  const since = performance.now()
  const child = spawn(process.execPath, [worker], {
    env: { PATH: process.env['PATH'], PORT: String(port) },
    stdio: 'ignore',
  })
  while (!(await answers(port))) await delay(1)
  const took = performance.now() - since
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  return took
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/health`).then(
    async (answer) => {
      await answer.arrayBuffer()
      return answer.ok
    },
    () => false,
  )
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function round2(value: number): number {
  return Math.round(value * 100) / 100
}
