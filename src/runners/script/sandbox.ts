import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ScriptConfig } from '../../kinds/kind.ts'
import { LaunchRefused } from '../driver.ts'
import { findTool } from './command.ts'
import { PROGRAM_FD } from './launcher.ts'
import { ETC_NAMES, isBelow, type Shown, SYSTEM_DIRECTORIES, shownTo } from './reach.ts'

export type Sandbox = Exclude<ScriptConfig['sandbox'], 'none'>

export interface SandboxPlan {
  readonly sandbox: Sandbox
  /** Absolute path of bwrap or firejail. */
  readonly tool: string
  readonly command: string
  readonly args: readonly string[]
  readonly searchPath: string | null
  readonly stateDir: string
  /** The working directory: the only place that can be written to, beside a private /tmp. */
  readonly work: string
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
  const shown = shownTo(plan.command, plan.args, plan.searchPath, plan.stateDir)
  return plan.sandbox === 'bubblewrap' ? bubblewrap(plan, shown) : firejail(plan, shown)
}

function bubblewrap({ tool, work, stateDir }: SandboxPlan, shown: Shown): string[] {
  const system = SYSTEM_DIRECTORIES.flatMap((path) => ['--ro-bind-try', path, path])
  const etc = ETC_NAMES.map((name) => `/etc/${name}`).flatMap((path) => ['--ro-bind-try', path, path])
  const directories = shown.directories.flatMap((path) => ['--ro-bind', path, path])
  const files = shown.files.flatMap((path) => ['--ro-bind', path, path])
  const seen = [...SYSTEM_DIRECTORIES, ...shown.directories].some((path) => isBelow(stateDir, path))
  const namespaces = ['--unshare-all', '--share-net', '--die-with-parent', '--cap-drop', 'ALL']
  const own = ['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/run', '--tmpfs', '/var/tmp']
  return [
    ...[tool, ...namespaces, ...system, ...etc, ...own, ...directories],
    ...(seen ? ['--tmpfs', stateDir] : []),
    ...[...files, '--bind', work, work, '--remount-ro', '/', '--chdir', work, '--'],
  ]
}

/** Directories of the host that firejail leaves in place; every other one at the top is emptied or hidden. */
const LEFT = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'usr', 'etc', 'dev', 'proc', 'sys', 'nix', 'gnu']

function firejail({ tool, work }: SandboxPlan, shown: Shown): string[] {
  const kept = [work, ...shown.directories, ...shown.files]
  const tops = readdirSync('/').filter((name) => !LEFT.includes(name) && existsSync(join('/', name)))
  const hidden = tops.map((name) => {
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
    ...hidden,
    ...kept.map((path) => `--whitelist=${path}`),
    ...[...shown.directories, ...shown.files].map((path) => `--read-only=${path}`),
    ...[`--read-write=${work}`, `--private-cwd=${work}`, '--'],
  ]
}
