import { type ProcessIdentity, readProc } from './identity.ts'
import type { HostTools } from './launcher.ts'

/**
 * What must stand before a command to be run as a process of a cocoon is: by its user, with its groups.
 * @returns nothing if that is Hive's own user.
 * @throws Error  setpriv is missing, or /proc does not tell.
 * @see setpriv(1), proc_pid_status(5)
 */
export function besideWorker(tools: HostTools, worker: ProcessIdentity): readonly string[] {
  const { uid, gid, groups } = userOf(worker)
  if (uid === String(process.getuid?.()) && gid === String(process.getgid?.())) return []
  return [requireTool(tools, 'setpriv'), ...asUser(uid, gid), ...onlyGroups(groups), '--inh-caps=-all', '--']
}

/** All but the user namespace: only from outside of it another user can be become. */
const NAMESPACES = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup']

/**
 * The same for a process in a sandbox: into its namespaces, its root and its directory first, and then without any
 * capability or way to one, like everything the sandbox starts itself.
 * @throws Error  nsenter or setpriv is missing, or /proc does not tell.
 * @see nsenter(1), user_namespaces(7)
 */
export function inSandbox(tools: HostTools, inside: ProcessIdentity): readonly string[] {
  const { uid, gid, groups } = userOf(inside)
  const [nsenter, setpriv] = [requireTool(tools, 'nsenter'), requireTool(tools, 'setpriv')]
  const enter = [nsenter, '--target', String(inside.pid), '--root', '--wd']
  const rights = ['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs']
  return [...enter, ...NAMESPACES, '--', setpriv, ...asUser(uid, gid), ...onlyGroups(groups), ...rights, '--']
}

/**
 * Why no command can be run inside a sandbox; null = it can. Without root it cannot: bubblewrap makes its mount namespace
 * in a user namespace outside of the one that the worker ends up in, and firejail makes its own as root.
 */
export function whyNotInSandbox(tools: HostTools): string | null {
  if (tools.nsenter === null || tools.setpriv === null)
    return 'A cmd check in a sandbox needs nsenter and setpriv: install util-linux'
  if (process.getuid?.() !== 0)
    return 'Only a Hive that runs as root can run a cmd check inside a sandbox: use an http or tcp check'
  return null
}

function asUser(uid: string, gid: string): readonly string[] {
  return ['--reuid', uid, '--regid', gid]
}

function onlyGroups(groups: readonly string[]): readonly string[] {
  return groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')]
}

function requireTool(tools: HostTools, name: 'setpriv' | 'nsenter'): string {
  const tool = tools[name]
  if (tool === null) throw new Error(`running a command beside its worker needs ${name}: install util-linux`)
  return tool
}

function userOf({ pid }: ProcessIdentity) {
  const status = readProc(pid, 'status') ?? ''
  const [uid] = idsIn(status, 'Uid')
  const [gid] = idsIn(status, 'Gid')
  if (uid === undefined || gid === undefined) throw new Error('its user cannot be read')
  return { uid, gid, groups: idsIn(status, 'Groups') }
}

function idsIn(status: string, field: string): readonly string[] {
  const line = new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1] ?? ''
  return line.trim().split(/\s+/).filter(Boolean)
}
