import { constants } from 'node:os'
import { execa } from 'execa'
import { CheckMark } from '../check-mark.ts'
import { cageOf, workerRuns } from './containment.ts'
import { besideWorker, inSandbox } from './exec-as.ts'
import type { ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { innerPid, type ProcessIdentity, readProc } from './identity.ts'
import { targetOf } from './objects.ts'

/** Joins the cocoon's leaf, then becomes the command, which is ended with everything else in the leaf. */
const JOIN = '[ -z "$1" ] || echo 0 >"$1/cgroup.procs" || exit 126; shift; exec "$@"'

/**
 * Runs a command beside the worker of a cocoon: in its leaf and its sandbox, with its environment, its working directory
 * and its user, all as the kernel tells them of the identified worker, since Hive keeps none of the secrets in files.
 *
 * @param command  argv; a bare name is looked up in the cocoon's PATH.
 * @returns its exit code, 128 + n for a signal. Output is dropped, and what the command leaves running is ended.
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
  // A sandboxed worker's own process is the monitor, which is outside of the sandbox.
  const cage = cageOf(identity, host.bootId)
  const beside = script.sandboxed ? firstInside(cage.members()) : worker
  const prefix = (script.sandboxed ? inSandbox : besideWorker)(host.tools, beside)
  const order = {
    sh: host.tools.sh,
    argv: ['-c', JOIN, 'cocoon-exec', leaf ?? '', ...prefix, ...command],
    // A directory that only the sandbox has is entered with it.
    cwd: script.sandboxed ? '/' : `/proc/${worker.pid}/cwd`,
    env: environmentOf(beside),
  }
  const mark = new CheckMark(script.id)
  try {
    // Between the look and here the pid cannot have passed on: all is in one tick.
    return await run(order, mark, signal)
  } finally {
    mark.end(() => cage.members().map(({ pid }) => pid))
  }
}

interface ExecOrder {
  readonly sh: string
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

async function run(
  { sh, argv, cwd, env }: ExecOrder,
  { variable: [name, value] }: CheckMark,
  signal: AbortSignal,
): Promise<{ readonly code: number }> {
  const child = execa(sh, argv, {
    cwd,
    env: { ...env, [name]: value },
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
    if (exitCode === undefined && ended === undefined) throw new Error('the command could not be started')
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

/** What a sandbox was made for: its first process after the init. */
function firstInside(members: readonly ProcessIdentity[]): ProcessIdentity {
  const inside = members
    .map((member) => ({ member, inner: innerPid(member.pid) ?? 1 }))
    .filter(({ inner }) => inner > 1)
  const [first] = inside.sort((a, b) => a.inner - b.inner)
  if (first === undefined) throw new Error('nothing runs in its sandbox')
  return first.member
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
