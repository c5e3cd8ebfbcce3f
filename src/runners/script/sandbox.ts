import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ScriptConfig } from '../../kinds/kind.ts'
import { LaunchRefused } from '../driver.ts'
import { findTool } from './command.ts'
import { PROGRAM_FD } from './launcher.ts'
import { ETC_NAMES, isBelow, realpathOf, type Shown, SYSTEM_DIRECTORIES, shownTo } from './reach.ts'

export type Sandbox = Exclude<ScriptConfig['sandbox'], 'none'>

export interface SandboxPlan {
  readonly sandbox: Sandbox
  /** Absolute path of bwrap or firejail. */
  readonly tool: string
  readonly command: string
  readonly args: readonly string[]
  readonly searchPath: string | null
  readonly stateDir: string
  /** Where engines listen: who reaches one is root of the host. */
  readonly engineSockets: readonly string[]
  /** The working directory: the only place that can be written to, beside a private /tmp. */
  readonly work: string
  /** True if Hive made the working directory; false = the kind names it. */
  readonly isOwnWork: boolean
}

const PROGRAMS = { bubblewrap: 'bwrap', firejail: 'firejail' } as const

/** The sandbox's program; null = the kind wants none. @throws LaunchRefused  it is not installed. */
export function findSandbox({ sandbox }: Pick<ScriptConfig, 'sandbox'>, searchPath: string | null): string | null {
  // A row of an earlier Hive says nothing.
  if ((sandbox ?? 'none') === 'none') return null
  const tool = findTool(PROGRAMS[sandbox as Sandbox], searchPath)
  if (tool) return tool
  throw new LaunchRefused(`The sandbox ${sandbox} is not installed: install the package ${sandbox}`)
}

/**
 * What stands before the command. Both profiles: an own pid, mount and IPC namespace, no capability, no way to new
 * privileges, a private /tmp, and of the host's files only what `shownTo` names. The network is the host's: the port
 * must be reachable.
 * @see bwrap(1), firejail(1)
 */
export function sandboxCommand(plan: SandboxPlan): string[] {
  const hidden = hiddenPaths(plan)
  verifyWork(plan, hidden)
  const shown = shownTo(plan.command, plan.args, plan.searchPath, hidden)
  return plan.sandbox === 'bubblewrap' ? bubblewrap(plan, shown, hidden) : firejail(plan, shown, hidden)
}

/** What no cocoon may see although it was shown a directory around it. Paths free of links: a mount goes to a place. */
interface Hidden {
  readonly stateDir: string
  /** Whether or not they are there: an engine makes its socket anew when it starts, and no mask lasts on it. */
  readonly sockets: readonly string[]
}

function hiddenPaths({ stateDir, engineSockets }: SandboxPlan): Hidden {
  const sockets = engineSockets.map((path) => join(realpathOf(dirname(path)), basename(path)))
  return { stateDir: realpathOf(stateDir), sockets: [...sockets, ...sockets.map(realpathOf)] }
}

/** Places of the system's services: a directory in one of them is theirs. */
const SERVICES = ['/run', '/proc', '/sys', '/dev']

function verifyWork({ work, isOwnWork }: SandboxPlan, { stateDir, sockets }: Hidden): void {
  if (isOwnWork) return
  const socket = sockets.find((path) => isBelow(path, work))
  if (socket !== undefined)
    throw new LaunchRefused(
      `In the working directory "${work}" a sandbox would show the engine's socket ${socket}: set working_dir to another place`,
    )
  const place = isBelow(work, stateDir) ? stateDir : SERVICES.find((folder) => isBelow(work, folder))
  if (place === undefined) return
  const what = place === stateDir ? 'the state directory' : 'what belongs to the services of the host'
  throw new LaunchRefused(
    `In the working directory "${work}" a sandbox would show ${what}: set working_dir to a place outside ${place}`,
  )
}

function bubblewrap({ tool, work }: SandboxPlan, shown: Shown, hidden: Hidden): string[] {
  const system = SYSTEM_DIRECTORIES.flatMap((path) => ['--ro-bind-try', path, path])
  const etc = ETC_NAMES.map((name) => `/etc/${name}`).flatMap((path) => ['--ro-bind-try', path, path])
  const directories = shown.directories.flatMap((path) => ['--ro-bind', path, path])
  const files = shown.files.flatMap((path) => ['--ro-bind', path, path])
  const namespaces = ['--unshare-all', '--share-net', '--die-with-parent', '--cap-drop', 'ALL']
  const own = ['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/run', '--tmpfs', '/var/tmp']
  const seen = [...SYSTEM_DIRECTORIES, ...shown.directories, work].some((path) => isBelow(hidden.stateDir, path))
  const masks = seen ? ['--tmpfs', hidden.stateDir] : []
  const workBind = ['--bind', work, work]
  // What is mounted later lies on top: the own working directory in the state directory, or the mask in what is shown.
  const isOnTop = isBelow(work, hidden.stateDir)
  return [
    ...[tool, ...namespaces, ...system, ...etc, ...own, ...directories],
    ...(isOnTop ? [...masks, ...files, ...workBind] : [...workBind, ...masks, ...files]),
    ...['--remount-ro', '/', '--chdir', work, '--'],
  ]
}

/** Directories of the host that firejail leaves in place; every other one at the top is emptied or hidden. */
const LEFT = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'usr', 'etc', 'dev', 'proc', 'sys', 'nix', 'gnu']

function firejail({ tool, work }: SandboxPlan, shown: Shown, hidden: Hidden): string[] {
  const kept = [work, ...shown.directories, ...shown.files]
  const isMasked = !isBelow(work, hidden.stateDir) && kept.some((folder) => isBelow(hidden.stateDir, folder))
  const tops = readdirSync('/').filter((name) => !LEFT.includes(name) && existsSync(join('/', name)))
  const closed = tops.map((name) => {
    const top = join('/', name)
    const isKept = kept.some((path) => isBelow(path, top))
    // A whitelist empties the top directory of what it names; one that names nothing empties it whole.
    return isKept || ['tmp', 'run', 'var'].includes(name) ? `--whitelist=${join(top, '.none')}` : `--blacklist=${top}`
  })
  return [
    ...[
      tool,
      '--quiet',
      '--noprofile',
      '--caps.drop=all',
      '--nonewprivs',
      '--noroot',
      '--private-dev',
      '--ipc-namespace',
      '--read-only=/etc',
    ],
    ...['--deterministic-exit-code', '--deterministic-shutdown', `--keep-fd=${PROGRAM_FD}`],
    // It writes passwd and group itself, without the other accounts.
    `--private-etc=${ETC_NAMES.filter((name) => !['passwd', 'group'].includes(name) && existsSync(join('/etc', name))).join(',')}`,
    ...closed,
    ...kept.map((path) => `--whitelist=${path}`),
    ...(isMasked ? [`--blacklist=${hidden.stateDir}`] : []),
    ...[...shown.directories, ...shown.files].map((path) => `--read-only=${path}`),
    ...[`--read-write=${work}`, `--private-cwd=${work}`, '--'],
  ]
}
