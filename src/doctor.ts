import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from './config.ts'
import { bad, type Finding, ok, warn } from './doctor/finding.ts'
import { checkHost } from './doctor/host.ts'
import { ownInstanceId } from './doctor/identity.ts'
import { type Rebuilt, rebuild } from './doctor/rebuild.ts'
import { checkRunners } from './doctor/runners.ts'
import { checkState } from './doctor/state.ts'
import type { RunnerConfig, RunnerType } from './kinds/kind.ts'
import { parseKinds } from './kinds/parse.ts'
import { createDrivers } from './runners/create-drivers.ts'
import { openStateDirectory } from './services/table/state-directory.ts'
import type { HiveConfig } from './settings.ts'

export type { Finding } from './doctor/finding.ts'
export type { Rebuilt } from './doctor/rebuild.ts'
export { RebuildRefused } from './doctor/refused.ts'

/** Looks at everything Hive needs, with the settings of this environment, and changes nothing. Never throws for what it finds. */
export async function examine(env: NodeJS.ProcessEnv): Promise<readonly Finding[]> {
  const settings = readConfig(env)
  if ('problems' in settings)
    return settings.problems.map((problem) => bad('settings', problem, 'correct it: Hive does not start like this'))
  const { config } = settings
  // The runners make their directories when they are asked: not in the real place, which may not be there yet.
  const stateDir = await mkdtemp(join(tmpdir(), 'hive-doctor-'))
  const instanceId = randomBytes(8).toString('hex')
  const drivers = createDrivers({ config: { ...config, stateDir }, instanceId, onWarning: () => {} })
  try {
    const parts = [checkHost(config), checkState(config.stateDir), checkRunners(drivers, config.kinds)]
    const said = config.warnings.map((warning) => warn('settings', warning))
    return [
      ok('settings', `${config.kinds.length} kinds are configured`),
      ...said,
      ...(await Promise.all(parts)).flat(),
    ]
  } finally {
    await Promise.all(drivers.map((driver) => driver.close()))
    await rm(stateDir, { recursive: true, force: true })
  }
}

/** @throws RebuildRefused, StateDirectoryError; Error for settings that are wrong. */
export async function rebuildTable(env: NodeJS.ProcessEnv, force: boolean): Promise<Rebuilt> {
  const settings = readConfig(env)
  if ('problems' in settings) throw new Error(settings.problems.join('\n'))
  const { config } = settings
  const { stateDir: path, token, masterKey } = config
  const own = await ownInstanceId(path)
  const { instanceId } = await openStateDirectory({ path, token, masterKey, instanceId: own })
  const drivers = createDrivers({ config, instanceId, onWarning: () => {} })
  const { kinds } = config
  try {
    return await rebuild({ directory: path, drivers, kinds, force, now: new Date(), fallback: fallbackOf(config) })
  } finally {
    await Promise.all(drivers.map((driver) => driver.close()))
  }
}

/** The config of a kind that says nothing, for cocoons whose kind is gone. */
function fallbackOf({ policy }: HiveConfig): (runner: RunnerType) => RunnerConfig {
  return (runner) => {
    const runner_config = runner === 'script' ? { command: 'true' } : { image: 'unknown' }
    const [kind] = parseKinds(JSON.stringify([{ id: 'unknown', runner_type: runner, runner_config }]), policy).kinds
    if (kind === undefined) throw new Error(`there is no config for ${runner}`)
    return kind.config
  }
}
