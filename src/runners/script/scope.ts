import { join } from 'node:path'
import type { Resources } from '../../kinds/kind.ts'

/** A systemd that makes a transient scope per cocoon, never inside the unit that Hive itself runs in. */
export interface ScopeParent {
  /** Absolute path of systemd-run. */
  readonly tool: string
  readonly asUser: boolean
  /** The cgroup directory of the slice that holds the scopes. */
  readonly slice: string
  readonly instanceId: string
  /** What systemd-run needs in its environment to find the user's manager; the cocoon does not get it. */
  readonly environment: Readonly<Record<string, string>>
}

/** How a systemd is asked: a program with its arguments. Null = it failed or is not there. */
export type CommandRunner = (tool: 'systemctl' | 'systemd-run', args: readonly string[]) => string | null

export interface SystemdView {
  /** sd_booted(3): `/run/systemd/system` is there. */
  readonly booted: boolean
  readonly run: CommandRunner
  /** Absolute path of systemd-run; null = not installed. */
  readonly tool: string | null
  readonly uid: number
  /** Where the v2 hierarchy is mounted; null = nowhere. */
  readonly mount: string | null
  /** Path of Hive's own cgroup within it, such as `/system.slice/hive.service`. */
  readonly own: string | null
}

const SLICE = 'hive.slice'
const PERIOD_PERCENT = 100
/** The launcher runs within the scope, and starts a short helper now and then. */
const LAUNCHER_PROCESSES = 2

/**
 * Whether and where scopes can be made.
 * @returns null = no systemd here, or Hive's cgroup was handed to Hive (`Delegate=yes`): leaves below it are better.
 * @see systemd-run(1), systemd.scope(5), https://systemd.io/CGROUP_DELEGATION
 */
export function openScopes(instanceId: string, view: SystemdView): ScopeParent | { readonly reason: string } | null {
  if (!view.booted || isDelegated(view)) return null
  if (view.tool === null) return { reason: 'systemd-run is not installed' }
  if (view.mount === null) return { reason: 'systemd has no cgroup v2 hierarchy here' }
  const asUser = view.uid !== 0
  const answer = view.run('systemctl', [...manager(asUser), 'show', '--property=ControlGroup'])
  const root = /^ControlGroup=(.*)$/m.exec(answer ?? '')?.[1]
  if (root === undefined) return { reason: `systemd${asUser ? ' --user' : ''} does not answer` }
  const environment: Record<string, string> = asUser ? { XDG_RUNTIME_DIR: `/run/user/${view.uid}` } : {}
  return { tool: view.tool, asUser, slice: join(view.mount, root, SLICE), instanceId, environment }
}

/** The leaf of an attempt: below the scope, whose own cgroup holds the launcher. */
export function scopeLeaf(parent: ScopeParent, id: string, attempt: number): string {
  return join(parent.slice, unitOf(parent, id, attempt), 'cocoon')
}

/** What stands before the launcher. `Delegate=yes`: systemd keeps its hands off the leaf below. */
export function scopeCommand(
  parent: ScopeParent,
  { id, attempt, resources }: { readonly id: string; readonly attempt: number; readonly resources: Resources },
): string[] {
  const properties = ['Delegate=yes', ...limitsOf(resources)].flatMap((each) => ['-p', each])
  const unit = unitOf(parent, id, attempt)
  const options = ['--scope', '--quiet', '--collect', `--unit=${unit}`, `--slice=${SLICE}`]
  return [parent.tool, ...manager(parent.asUser), ...options, ...properties, '--']
}

/** The scope's own counter of OOM kills, its leaf included. */
export function scopeOomFile(leaf: string): string {
  return join(leaf, '..', 'memory.events')
}

/** systemd.resource-control(5) */
function limitsOf({ memoryBytes, cpus, pids }: Resources): string[] {
  return [
    ...(memoryBytes === null ? [] : [`MemoryMax=${memoryBytes}`, 'MemorySwapMax=0']),
    ...(cpus === null ? [] : [`CPUQuota=${Math.max(1, Math.round(cpus * PERIOD_PERCENT))}%`]),
    ...(pids === null ? [] : [`TasksMax=${pids + LAUNCHER_PROCESSES}`]),
  ]
}

function unitOf({ instanceId }: ScopeParent, id: string, attempt: number): string {
  return `hive-${instanceId.slice(0, 8)}-${id}-${attempt}.scope`
}

function isDelegated({ own, run }: SystemdView): boolean {
  const unit = own?.split('/').findLast((name) => /\.(service|scope)$/.test(name))
  if (unit === undefined) return false
  const isUsers = own?.includes('/user@') === true && !unit.startsWith('user@')
  return /^Delegate=yes$/m.test(run('systemctl', [...manager(isUsers), 'show', '--property=Delegate', unit]) ?? '')
}

function manager(asUser: boolean): string[] {
  return asUser ? ['--user'] : []
}
