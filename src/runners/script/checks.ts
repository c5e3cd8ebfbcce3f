import type { ScriptConfig } from '../../kinds/kind.ts'
import { LaunchRefused, type LaunchSpec } from '../driver.ts'
import { findCommand } from './command.ts'
import type { ScriptHost } from './host.ts'
import type { HostTools } from './launcher.ts'
import { type RunAs, runAs } from './user.ts'

/** What a launch needs and what can be known before it. */
export interface CheckedLaunch {
  /** Absolute path of the executable. */
  readonly path: string
  readonly user: RunAs | null
  readonly tools: HostTools
}

/** @throws LaunchRefused  the command, the user or a tool is missing or unusable. */
export function checkLaunch(config: ScriptConfig, host: ScriptHost): CheckedLaunch {
  const tools = host.tools
  if (tools === null || !host.availability.available) {
    throw new LaunchRefused(host.availability.reason ?? 'The script runner is not available')
  }
  const found = findCommand(config.command, host.environment.PATH)
  if ('reason' in found) throw new LaunchRefused(found.reason)
  if (config.args.some((argument) => argument.includes('\0'))) {
    throw new LaunchRefused('An argument must not hold a NUL character')
  }
  return { path: found.path, user: runAs(config.user, tools), tools }
}

/** @throws LaunchRefused  it is another runner's kind. */
export function scriptConfig({ config }: Pick<LaunchSpec, 'config'>): ScriptConfig {
  if (config.runner === 'script') return config
  throw new LaunchRefused(`The script runner cannot run a ${config.runner} kind`)
}
