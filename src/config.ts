import { homedir, hostname } from 'node:os'
import { dockerHosts, podmanHosts } from './config/engine-hosts.ts'
import { type HostFacts, notActedOn, readIdentity } from './config/identity.ts'
import { readLimits } from './config/limits.ts'
import { readListeners } from './config/listeners.ts'
import { unknownNameWarnings } from './config/names.ts'
import { type Notes, type SettingSource, settingSource } from './config/notes.ts'
import { readPolicy, strayAllowances } from './config/policy.ts'
import { readTracing } from './config/tracing.ts'
import { readWebhook } from './config/webhook.ts'
import { deepFreeze } from './kinds/deep-freeze.ts'
import { formatKindProblem } from './kinds/format-problems.ts'
import { parseKinds } from './kinds/parse.ts'
import type { HiveConfig } from './settings.ts'

export { isLoopbackHost } from './config/loopback.ts'

export type ConfigResult = { readonly config: HiveConfig } | { readonly problems: readonly string[] }

/**
 * Reads every setting and COCOON_KINDS from an environment; nothing else in Hive reads settings.
 *
 * @param env    `process.env`. A variable that is set but blank counts as not set.
 * @param facts  What defaults depend on beside the environment; for tests.
 * @returns      The frozen config, or all problems at once, a sentence each: the caller prints them with
 *               {@link formatProblems} and exits with 78. No problem and no warning holds a value that may be secret.
 */
export function readConfig(env: NodeJS.ProcessEnv, facts: HostFacts = thisHost()): ConfigResult {
  const notes: Notes = { problems: [], warnings: [] }
  const source = settingSource(env, notes)
  const policy = readPolicy(source)
  const settings = readSettings(source, facts)
  const { kinds, problems, warnings } = parseKinds(env['COCOON_KINDS'], policy)
  notes.problems.push(...problems.map((problem) => `COCOON_KINDS ${formatKindProblem(problem)}`))
  if (notes.problems.length > 0) return { problems: notes.problems }
  notes.warnings.push(...unknownNameWarnings(env), ...strayAllowances(policy, kinds), ...warnings)
  return { config: deepFreeze({ ...settings, kinds, policy, warnings: notes.warnings }) }
}

/** All problems as text for the terminal. */
export function formatProblems(problems: readonly string[]): string {
  const heading = problems.length === 1 ? 'one setting is wrong' : `${problems.length} settings are wrong`
  return [`Hive does not start: ${heading}.`, ...problems.map((problem) => `  ${problem}`), ''].join('\n')
}

function readSettings(source: SettingSource, facts: HostFacts): Omit<HiveConfig, 'kinds' | 'policy' | 'warnings'> {
  const identity = readIdentity(source, facts)
  const listeners = readListeners(source)
  const limits = readLimits(source)
  source.notes.warnings.push(...notActedOn(identity))
  const { first, last } = limits.portRange
  if ([listeners.port, listeners.proxyPort ?? 0].some((port) => port >= first && port <= last))
    source.notes.warnings.push('HIVE_PORT or HIVE_PROXY_PORT lies within HIVE_PORT_RANGE, whose ports are for cocoons.')
  return {
    ...identity,
    ...listeners,
    ...limits,
    ...readWebhook(source),
    tracing: readTracing(source),
    dockerHosts: dockerHosts(source),
    podmanHosts: podmanHosts(source, facts.uid),
  }
}

function thisHost(): HostFacts {
  return { uid: process.getuid?.() ?? null, home: homedir(), hostname: hostname() }
}
