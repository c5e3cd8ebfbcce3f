import assert from 'node:assert/strict'
import type { HostFacts } from '../../src/config/identity.ts'
import { readConfig } from '../../src/config.ts'
import type { HiveConfig } from '../../src/settings.ts'

/** An ordinary user on an ordinary machine, whatever the tests run on. */
export const someone: HostFacts = { uid: 1000, home: '/home/someone', hostname: 'workstation' }

/** The config of settings that must be right. */
export function configOf(env: NodeJS.ProcessEnv, facts = someone): HiveConfig {
  const result = readConfig(env, facts)
  assert.ok('config' in result, 'problems' in result ? result.problems.join('\n') : '')
  return result.config
}

/** The problems of settings that must be wrong. */
export function complaintsAbout(env: NodeJS.ProcessEnv, facts = someone): readonly string[] {
  const result = readConfig(env, facts)
  assert.ok('problems' in result, 'the settings were accepted')
  return result.problems
}
