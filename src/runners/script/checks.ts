import type { ScriptConfig } from '../../kinds/kind.ts'
import { LaunchRefused, type LaunchSpec } from '../driver.ts'
import { findCommand } from './command.ts'
import { whyNotInSandbox } from './exec-as.ts'
import type { ScriptHost } from './host.ts'
import type { HostTools } from './launcher.ts'
import { type Acting, actingLimits, missingLimits, rlimitOptions } from './rlimits.ts'
import { findSandbox, type Sandbox } from './sandbox.ts'
import { type RunAs, requireSetpriv, runAs, runAsOwn } from './user.ts'

/** What a launch needs and what can be known before it. */
export interface CheckedLaunch {
  /** Absolute path of the executable. */
  readonly path: string
  /** Null = Hive's own user, or one of its own that is not claimed yet. */
  readonly user: RunAs | null
  readonly tools: HostTools
  readonly sandbox: { readonly kind: Sandbox; readonly tool: string } | null
  readonly acting: Acting
}

/** @throws LaunchRefused  the command, the user, a limit, the sandbox or a tool is missing or unusable. */
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
  const user = config.user === 'auto' ? checkAuto(host, tools) : runAs(config.user, tools)
  const acting = checkLimits(config, host, {
    tools,
    asRoot: user === null ? isRoot() && config.user !== 'auto' : user.uid === 0,
  })
  return { path: found.path, user, tools, acting, sandbox: checkSandbox(config, host, tools) }
}

/** The same with the service's own uid, which is claimed if it has none. @throws LaunchRefused */
export async function checkAndClaim(spec: LaunchSpec, host: ScriptHost): Promise<CheckedLaunch> {
  const config = scriptConfig(spec)
  const checked = checkLaunch(config, host)
  if (config.user !== 'auto' || host.uids === null) return checked
  return { ...checked, user: runAsOwn(await host.uids.claim(spec.id), checked.tools) }
}

/** @throws LaunchRefused  it is another runner's kind. */
export function scriptConfig({ config }: Pick<LaunchSpec, 'config'>): ScriptConfig {
  if (config.runner === 'script') return config
  throw new LaunchRefused(`The script runner cannot run a ${config.runner} kind`)
}

function checkAuto(host: ScriptHost, tools: HostTools): null {
  requireSetpriv('auto', tools)
  if (host.uids !== null) return null
  throw new LaunchRefused('user "auto" needs uids to hand out: set HIVE_UID_RANGE, such as 200000-209999')
}

function checkLimits(
  { resources }: ScriptConfig,
  host: ScriptHost,
  { tools, asRoot }: { readonly tools: HostTools; readonly asRoot: boolean },
): Acting {
  if (Object.values(resources).every((value) => value === null)) return {}
  const acting = actingLimits(resources, host.controllers(), asRoot)
  const missing = missingLimits(acting)
  if (missing !== null) throw new LaunchRefused(missing)
  if (tools.prlimit === null && rlimitOptions(resources, acting).length > 0) {
    throw new LaunchRefused('These limits of resources need prlimit: install util-linux')
  }
  return acting
}

function checkSandbox(config: ScriptConfig, host: ScriptHost, tools: HostTools): CheckedLaunch['sandbox'] {
  const tool = findSandbox(config, host.environment.PATH)
  if (tool === null || config.sandbox === 'none') return null
  if (config.sandbox === 'firejail' && config.user === 'auto') {
    throw new LaunchRefused('firejail runs nobody without an account: use sandbox "bubblewrap" with user "auto"')
  }
  const reason = config.healthChecks.some(({ type }) => type === 'cmd') && whyNotInSandbox(tools)
  if (reason) throw new LaunchRefused(reason)
  return { kind: config.sandbox, tool }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}
