import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { engineOrSkip, TEST_IMAGES } from './engines.ts'
import type { TestHive } from './hive.ts'

/** Kinds that expose and use things, for every runner. */

export type Where = 'script' | 'docker' | 'podman' | 'podman-rootless'

const WORKER = join(import.meta.dirname, 'fixtures', 'uses-worker.cjs')

/** A kind whose cocoons tell their name and environment, and pass on what they reach at a variable. */
export function workerKind(id: string, where: Where, config: object): object {
  const runner_type = where === 'podman-rootless' ? 'podman' : where
  const base =
    where === 'script'
      ? { command: process.execPath, args: [WORKER] }
      : { image: TEST_IMAGES.echo, command: ['node', '-e', readFileSync(WORKER, 'utf8')], pull: 'never' }
  return { id, runner_type, runner_config: { ...base, port: 8080, stop_grace: 0, ...config } }
}

/** Why one of these runners is not there; false = all are. */
export function skipOf(...wheres: readonly Where[]): string | false {
  for (const where of wheres) {
    const skip = where !== 'script' && engineOrSkip(where).skip
    if (skip !== false) return skip
  }
  return false
}

let first = 24_000 + Math.floor(Math.random() * 30) * 100

/** Settings for a Hive with these runners, and ports that no other test of this process uses. */
export function envOf(...wheres: readonly Where[]): Record<string, string> {
  first += 50
  const env: Record<string, string> = { HIVE_PORT_RANGE: `${first}-${first + 49}` }
  for (const where of wheres) {
    if (where === 'script') continue
    const { type, host } = engineOrSkip(where)
    env[type === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST'] = host
  }
  return env
}

export async function recordOf(hive: TestHive, name: string): Promise<ServiceRecord> {
  return (await hive.call('GET', `/services/${name}`)).body
}

/** What a worker answers at a path. */
export async function ask(hive: TestHive, name: string, path: string): Promise<string> {
  const answer = await fetch(`${hive.url}/cocoons/${name}${path}`)
  const text = await answer.text()
  return answer.ok ? text : `${answer.status} ${text}`
}

export async function environmentOf(hive: TestHive, name: string): Promise<Readonly<Record<string, string>>> {
  return JSON.parse(await ask(hive, name, '/env'))
}
