import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { engineOrSkip, TEST_IMAGES } from './engines.ts'

/** One program that does as it is told, as kinds of each runner. */

export interface FeatureRunner {
  readonly name: 'script' | 'docker' | 'podman'
  /** Why it is not there, or false. */
  readonly skip: string | false
  readonly env: Readonly<Record<string, string>>
  readonly kinds: readonly object[]
}

const PROGRAM = join(import.meta.dirname, 'fixtures', 'obedient.cjs')

const script = { command: process.execPath, args: [PROGRAM], port: 8080, stop_grace: '1s' }
const box = {
  image: TEST_IMAGES.echo,
  command: ['node', '-e', readFileSync(PROGRAM, 'utf8')],
  pull: 'never',
  port: 8080,
  stop_grace: 0,
}

const SOON = { policy: 'on-failure', backoff_min: '300ms', backoff_max: '600ms' }
const LATE = { policy: 'always', backoff_min: '10m', backoff_max: '10m' }
const health_check = { type: 'http', path: '/health', interval: '100ms', retries: 2 }

export const FEATURE_RUNNERS: readonly FeatureRunner[] = [
  { name: 'script', skip: false, env: {}, kinds: kindsOf('script', script) },
  ...(['docker', 'podman'] as const).map((name): FeatureRunner => {
    const { host, skip } = engineOrSkip(name)
    return { name, skip, env: { [`HIVE_${name.toUpperCase()}_HOST`]: host }, kinds: kindsOf(name, box) }
  }),
]

function kindsOf(runner: string, program: object): readonly object[] {
  const kind = (id: string, config: object) => ({
    id,
    runner_type: runner,
    runner_config: { ...program, restart: 'never', ...config },
  })
  return [
    kind('plain', {}),
    kind('again', { restart: SOON }),
    kind('checked', { restart: SOON, health_check }),
    kind('patient', { restart: LATE }),
    kind('brief', { ttl: '2s' }),
    kind('sleeper', { idle_timeout: '1s', wake: true }),
  ]
}
