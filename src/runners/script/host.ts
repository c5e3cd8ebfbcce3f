import { accessSync, chmodSync, constants, existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { HiveConfig, NumberRange } from '../../settings.ts'
import type { Availability } from '../driver.ts'
import { findTool } from './command.ts'
import { type Containment, type ContainmentOptions, chooseContainment } from './containment.ts'
import { readBootId, readStat } from './identity.ts'
import { type HostTools, installLauncher } from './launcher.ts'
import { type Controllers, openControllers } from './limits.ts'
import type { RunRoot } from './run-directory.ts'
import type { SystemdView } from './scope.ts'
import { viewSystemd } from './systemd.ts'
import { openUidPool, type UidPool } from './uids.ts'

export interface ScriptDriverOptions {
  readonly stateDir: string
  readonly instanceId: string
  readonly hostEnvironment: HiveConfig['hostEnvironment']
  /** For tests: another boot than the kernel's. */
  readonly bootId?: string
  /** The cgroup v2 directory to make leaves in; default: Hive's own. */
  readonly cgroupRoot?: string
  readonly forceContainment?: 'cgroup' | 'scope' | 'group'
  /** Paths where engines listen; a sandbox hides them. */
  readonly engineSockets?: readonly string[]
  /** Uids of `user: "auto"`. */
  readonly uidRange?: NumberRange | null
  /** For tests: another systemd than the machine's, other controllers than the kernel's. */
  readonly systemd?: SystemdView
  readonly controllers?: Controllers
  readonly onWarning?: (message: string) => void
}

/** What the script runner knows of the machine it runs on. */
export interface ScriptHost {
  readonly instanceId: string
  readonly environment: HiveConfig['hostEnvironment']
  readonly bootId: string
  readonly runs: RunRoot
  readonly workRoot: string
  /** Null = the reason is in `availability`. */
  readonly tools: HostTools | null
  readonly availability: Availability
  readonly warn: (message: string) => void
  /** Null = HIVE_UID_RANGE is not set. */
  readonly uids: UidPool | null
  readonly stateDir: string
  readonly engineSockets: readonly string[]
  containment(): Containment
  /** What limits memory, cpus and pids: leaves with these controllers, or the properties of a scope. */
  controllers(): Controllers | 'systemd'
  /** Path of the launcher's file, which is there. */
  launcher(): Promise<string>
  /** From now on without cgroups: joining a leaf was refused. */
  giveUpCgroups(reason: string): void
}

/** Looks at the machine once; `refresh` of the probe looks again. */
export function openHost(options: ScriptDriverOptions): ScriptHost {
  const { stateDir, instanceId, hostEnvironment, forceContainment = null, cgroupRoot = null } = options
  const tools = findTools(hostEnvironment.PATH)
  const systemd = () => options.systemd ?? viewSystemd(hostEnvironment.PATH)
  const choice = (): ContainmentOptions => ({ instanceId, cgroupRoot, force: forceContainment, systemd: systemd() })
  const warn = options.onWarning ?? (() => {})
  const runs = { path: join(stateDir, 'run') }
  const workRoot = join(stateDir, 'work')
  let containment: Containment | null = null
  let controllers: Controllers | null = options.controllers ?? null
  let launcher: string | null = null
  const contain = (): Containment => {
    if (containment) return containment
    containment = chooseContainment(choice())
    if (containment.kind === 'group' && forceContainment === null) {
      warn(`Script cocoons are contained by process group only: ${containment.reason}`)
    }
    return containment
  }
  return {
    instanceId,
    stateDir,
    engineSockets: options.engineSockets ?? [],
    environment: hostEnvironment,
    bootId: options.bootId ?? (hasProc() ? readBootId() : 'none'),
    runs,
    workRoot,
    uids: options.uidRange ? openUidPool(runs, workRoot, options.uidRange) : null,
    tools,
    availability: availabilityOf(tools),
    warn,
    containment: contain,
    controllers: () => {
      const found = contain()
      if (found.kind === 'scope') return 'systemd'
      controllers ??= openControllers(instanceId, found.kind === 'cgroup' ? found.parent : null)
      return controllers
    },
    launcher: async () => {
      if (launcher === null || !existsSync(launcher)) launcher = await installLauncher(runs.path)
      return launcher
    },
    giveUpCgroups: (reason) => {
      containment = { kind: 'group', reason }
      controllers = null
    },
  }
}

/** Makes the directories of the runner; their parents are the operator's business. */
export function makeRoots(host: ScriptHost): Availability {
  if (!host.availability.available) return host.availability
  try {
    mkdirSync(host.runs.path, { recursive: true, mode: 0o700 })
    mkdirSync(host.workRoot, { recursive: true, mode: 0o711 })
    accessSync(host.runs.path, constants.W_OK | constants.X_OK)
    if (host.uids !== null) openPassage(host.stateDir)
    return host.availability
  } catch (error) {
    const reason = `The state directory cannot be written (${(error as NodeJS.ErrnoException).code}): ${host.runs.path}`
    return { available: false, reason }
  }
}

/**
 * Cocoons with a uid of their own must get through the state directory to their working directories, and see nothing
 * else of it: neither its list of names nor what another umask left readable.
 */
function openPassage(stateDir: string): void {
  for (const name of readdirSync(stateDir)) {
    if (name === 'work') continue
    const path = join(stateDir, name)
    const { mode } = lstatSync(path)
    if ((mode & 0o077) !== 0) chmodSync(path, mode & 0o700)
  }
  chmodSync(stateDir, 0o711)
}

function findTools(path: string | null): HostTools | null {
  const [sh, setsid, mv, mkdir] = ['sh', 'setsid', 'mv', 'mkdir'].map((name) => findTool(name, path))
  if (!sh || !setsid || !mv || !mkdir) return null
  const [setpriv = null, prlimit = null, nsenter = null] = ['setpriv', 'prlimit', 'nsenter'].map((name) =>
    findTool(name, path),
  )
  return { sh, setsid, mv, mkdir, setpriv, prlimit, nsenter }
}

function availabilityOf(tools: HostTools | null): Availability {
  if (!hasProc()) return { available: false, reason: 'The script runner needs Linux with /proc mounted' }
  if (tools === null)
    return { available: false, reason: 'The script runner needs sh, setsid and mv: install util-linux' }
  return { available: true, reason: null }
}

function hasProc(): boolean {
  return readStat(process.pid) !== null
}
