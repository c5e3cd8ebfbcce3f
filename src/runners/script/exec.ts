import { constants } from 'node:os'
import { execa } from 'execa'
import { workerRuns } from './containment.ts'
import type { ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { type ProcessIdentity, readProc } from './identity.ts'
import { targetOf } from './objects.ts'

/** Joins the cocoon's leaf, then becomes the command, which is ended with everything else in the leaf. */
const JOIN = '[ -z "$1" ] || echo 0 >"$1/cgroup.procs" || exit 126; shift; exec "$@"'

/**
 * Runs a command beside the worker of a cocoon: in its leaf, with its environment, its working directory and its user,
 * all as the kernel tells them of the identified worker, since Hive keeps none of the secrets in files.
 *
 * @param command  argv; a bare name is looked up in the cocoon's PATH.
 * @returns its exit code, 128 + n for a signal. Output is dropped.
 * @throws Error  the worker does not run, or /proc does not tell; the signal's reason after the command was killed.
 */
export async function execInCocoon(
  host: ScriptHost,
  script: ScriptHandle,
  { command, signal }: { readonly command: readonly string[]; readonly signal: AbortSignal },
): Promise<{ readonly code: number }> {
  signal.throwIfAborted()
  const identity = targetOf(host, script).identity()
  const { worker, leaf } = identity
  if (host.tools === null || worker === null || !workerRuns(identity, host.bootId)) throw new Error('it does not run')
  // Its process is the sandbox's monitor, which is outside: a command beside it would not be in the sandbox.
  if (script.sandboxed) throw new Error('commands cannot be run inside a sandbox: use an http or tcp check')
  const environment = environmentOf(worker)
  const argv = ['-c', JOIN, 'cocoon-exec', leaf ?? '', ...asWorker(host, worker), ...command]
  // Between the look and here the pid cannot have passed on: both are in one tick.
  const child = execa(host.tools.sh, argv, {
    cwd: `/proc/${worker.pid}/cwd`,
    env: environment,
    extendEnv: false,
    // A group of its own, so that all of it can be killed; never tied to a terminal.
    detached: true,
    stdio: 'ignore',
    shell: false,
    buffer: false,
    reject: false,
    verbose: 'none',
  })
  const kill = () => killGroup(child.pid)
  signal.addEventListener('abort', kill, { once: true })
  try {
    const { exitCode, signal: ended } = await child
    signal.throwIfAborted()
    return { code: exitCode ?? 128 + (ended ? constants.signals[ended] : 0) }
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

/** proc_pid_environ(5): `NAME=value`, each ended by NUL; the environment of its exec, not what it has made of it. */
function environmentOf(worker: ProcessIdentity): Record<string, string> {
  const text = readProc(worker.pid, 'environ')
  if (text === null) throw new Error('its environment cannot be read')
  const pairs = Buffer.from(text, 'latin1').toString('utf8').split('\0')
  return Object.fromEntries(
    pairs.flatMap((pair) => {
      const at = pair.indexOf('=')
      return at < 1 ? [] : [[pair.slice(0, at), pair.slice(at + 1)]]
    }),
  )
}

/** What must stand before a command to be run by the worker's user; nothing if that is Hive's own. proc_pid_status(5) */
function asWorker(host: ScriptHost, worker: ProcessIdentity): readonly string[] {
  const status = readProc(worker.pid, 'status') ?? ''
  const [uid] = idsIn(status, 'Uid')
  const [gid] = idsIn(status, 'Gid')
  if (uid === undefined || gid === undefined) throw new Error('its user cannot be read')
  if (uid === String(process.getuid?.()) && gid === String(process.getgid?.())) return []
  const groups = idsIn(status, 'Groups')
  const setpriv = host.tools?.setpriv
  if (!setpriv) throw new Error('running a command as its user needs setpriv: install util-linux')
  const supplementary = groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')]
  return [setpriv, '--reuid', uid, '--regid', gid, ...supplementary, '--inh-caps=-all', '--']
}

function idsIn(status: string, field: string): readonly string[] {
  const line = new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1] ?? ''
  return line.trim().split(/\s+/).filter(Boolean)
}

/** The child is not reaped before it is awaited, so its number is still its own. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Ended already.
  }
}
