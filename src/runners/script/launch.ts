import { execa } from 'execa'
import { LaunchRefused, type LaunchSpec, RunnerUnreachable } from '../driver.ts'
import { readExit } from './exit-file.ts'
import { isAlive, type ProcessIdentity, readProc } from './identity.ts'
import { type HostTools, isShim, launcherArguments } from './launcher.ts'
import { closeOutput, openOutput } from './output.ts'
import { poll } from './pause.ts'
import { explainRefusal, setprivRefusal } from './refusal.ts'
import { readIdentity, readSmall } from './run-directory.ts'

const LAUNCH_LIMIT_MS = 10_000

export interface LaunchPlan {
  readonly spec: LaunchSpec
  readonly directory: string
  readonly leaf: string | null
  readonly mark: string
  readonly tools: HostTools
  /** The worker's argv; the first element is an absolute path. */
  readonly command: readonly string[]
  /** Length of what setpriv and its options take at the front of `command`. */
  readonly wrapped: boolean
  readonly environment: Readonly<Record<string, string>>
  /** A path of the working directory that stays valid until the launch is over. */
  readonly cwd: string
}

/** @returns the pid of the launcher; which launcher wins the claim is told by its file. */
export async function spawnLauncher(plan: LaunchPlan): Promise<number> {
  const output = await openOutput(plan.directory)
  try {
    const launcher = execa(plan.tools.sh, launcherArguments(plan.tools, plan), {
      cwd: plan.cwd,
      env: plan.environment,
      extendEnv: false,
      // A session of its own, not tied to Hive's end in any way.
      detached: true,
      cleanup: false,
      // execa's types list the descriptors up to 9 only; it takes every number.
      stdio: ['ignore', output.stdout.fd as 3, output.stderr.fd as 3],
      shell: false,
      buffer: false,
      reject: false,
      verbose: 'none',
    })
    launcher.nodeChildProcess.unref()
    if (launcher.pid !== undefined) return launcher.pid
    throw spawnError((await launcher).code)
  } finally {
    await closeOutput(output)
  }
}

/** execa's own error holds the whole command line: only the system's code is passed on. */
function spawnError(code: string | undefined): Error {
  if (code === 'E2BIG')
    return new LaunchRefused('The arguments and the environment together are too large for the system')
  return new RunnerUnreachable(`The launcher could not be started (${code ?? 'unknown reason'})`)
}

/**
 * Waits until the worker has been executed, or had its chance.
 * @returns its identity, as its shim recorded it.
 * @throws LaunchRefused  there is no worker. @throws RunnerUnreachable  nothing was heard in time.
 */
export async function awaitWorker(
  plan: Pick<LaunchPlan, 'directory' | 'command' | 'wrapped'>,
  signal: AbortSignal,
): Promise<ProcessIdentity> {
  const ask = () => launched(plan)
  const worker = await poll(ask, { limitMs: LAUNCH_LIMIT_MS, longestMs: 10, signal })
  if (worker) return worker
  throw new RunnerUnreachable('The launcher did not report in time; another start adopts what it did')
}

function launched({
  directory,
  command,
  wrapped,
}: Pick<LaunchPlan, 'directory' | 'command' | 'wrapped'>): ProcessIdentity | undefined {
  const worker = readIdentity(directory, 'pid')
  const refused = readSmall(directory, 'refused')
  if (refused?.endsWith('\n')) throw explainRefusal(directory, refused, command)
  if (worker === null) return undefined
  if (isAlive(worker)) {
    const line = readProc(worker.pid, 'cmdline') ?? ''
    const becoming = isShim(line) || (wrapped && line.startsWith(`${command[0]}\0`))
    return becoming ? undefined : worker
  }
  const ended = readExit(directory)
  if (ended && wrapped) throwIfSetprivFailed(directory, ended.exit.code, command)
  const launcher = readIdentity(directory, 'claim')
  const over = ended !== null || launcher === null || !isAlive(launcher)
  return over && readSmall(directory, 'refused') === null ? worker : undefined
}

function throwIfSetprivFailed(directory: string, code: number, command: readonly string[]): void {
  const refusal = setprivRefusal(directory, code, command)
  if (refusal) throw refusal
}
