import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { HiveConfig } from '../../settings.ts'
import type { Availability } from '../driver.ts'
import { findTool } from './command.ts'
import { type Containment, type ContainmentOptions, chooseContainment } from './containment.ts'
import { readBootId, readStat } from './identity.ts'
import { type HostTools, installLauncher } from './launcher.ts'
import type { RunRoot } from './run-directory.ts'

export interface ScriptDriverOptions {
  readonly stateDir: string
  readonly instanceId: string
  readonly hostEnvironment: HiveConfig['hostEnvironment']
  /** For tests: another boot than the kernel's. */
  readonly bootId?: string
  /** The cgroup v2 directory to make leaves in; default: Hive's own. */
  readonly cgroupRoot?: string
  readonly forceContainment?: 'cgroup' | 'group'
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
  containment(): Containment
  /** Path of the launcher's file, which is there. */
  launcher(): Promise<string>
  /** From now on without cgroups: joining a leaf was refused. */
  giveUpCgroups(reason: string): void
}

/** Looks at the machine once; `refresh` of the probe looks again. */
export function openHost(options: ScriptDriverOptions): ScriptHost {
  const { stateDir, instanceId, hostEnvironment, forceContainment = null, cgroupRoot = null } = options
  const tools = findTools(hostEnvironment.PATH)
  const choice: ContainmentOptions = { instanceId, cgroupRoot, force: forceContainment }
  const warn = options.onWarning ?? (() => {})
  const runs = { path: join(stateDir, 'run') }
  let containment: Containment | null = null
  let launcher: string | null = null
  return {
    instanceId,
    environment: hostEnvironment,
    bootId: options.bootId ?? (hasProc() ? readBootId() : 'none'),
    runs,
    workRoot: join(stateDir, 'work'),
    tools,
    availability: availabilityOf(tools),
    warn,
    containment: () => {
      if (containment) return containment
      containment = chooseContainment(choice)
      if (containment.kind === 'group' && forceContainment === null) {
        warn(`Script cocoons are contained by process group only: ${containment.reason}`)
      }
      return containment
    },
    launcher: async () => {
      if (launcher === null || !existsSync(launcher)) launcher = await installLauncher(runs.path)
      return launcher
    },
    giveUpCgroups: (reason) => {
      containment = { kind: 'group', reason }
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
    return host.availability
  } catch (error) {
    const reason = `The state directory cannot be written (${(error as NodeJS.ErrnoException).code}): ${host.runs.path}`
    return { available: false, reason }
  }
}

function findTools(path: string | null): HostTools | null {
  const [sh, setsid, mv] = ['sh', 'setsid', 'mv'].map((name) => findTool(name, path))
  return sh && setsid && mv ? { sh, setsid, mv, setpriv: findTool('setpriv', path) } : null
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
