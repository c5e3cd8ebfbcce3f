import { execa } from 'execa'
import { LaunchRefused, RunnerUnreachable } from '../driver.ts'
import { readExit } from './exit-file.ts'
import { innerPid, isAlive, type ProcessIdentity, readProc, readStat } from './identity.ts'
import { type HostTools, isShim, launcherArguments } from './launcher.ts'
import { closeOutput, openOutput } from './output.ts'
import { poll } from './pause.ts'
import { ContainmentRefused, explainRefusal, wrapperRefusal } from './refusal.ts'
import { readIdentity, readSmall } from './run-directory.ts'
import { isWrapper, type WrappedCommand } from './wrapping.ts'

const LAUNCH_LIMIT_MS = 10_000

export interface LaunchPlan {
  readonly directory: string
  /** The same, as its launcher is told it. */
  readonly view: string
  readonly leaf: string | null
  readonly mark: string
  readonly tools: HostTools
  /** Path of the launcher's file. */
  readonly launcher: string
  readonly command: WrappedCommand
  /** What stands before the launcher: systemd-run and its options, or nothing. */
  readonly scope: readonly string[]
  /** An open file that becomes descriptor PROGRAM_FD of launcher and worker. */
  readonly programFd: number | null
  readonly environment: Readonly<Record<string, string>>
  /** A path of the working directory that stays valid until the launch is over. */
  readonly cwd: string
}

/** @returns the launcher; null = it has ended already. */
export async function spawnLauncher(plan: LaunchPlan): Promise<ProcessIdentity | null> {
  const output = await openOutput(plan.directory)
  try {
    const launch = { ...plan, directory: plan.view, command: plan.command.argv }
    const argv = [...plan.scope, plan.tools.sh, ...launcherArguments(plan.tools, plan.launcher, launch)]
    const launcher = execa(argv[0] ?? '', argv.slice(1), {
      cwd: plan.cwd,
      env: plan.environment,
      extendEnv: false,
      // A session of its own, not tied to Hive's end in any way.
      detached: true,
      cleanup: false,
      // execa's types list the descriptors up to 9 only; it takes every number.
      stdio: ['ignore', output.stdout.fd as 3, output.stderr.fd as 3, (plan.programFd ?? 'ignore') as 3],
      shell: false,
      buffer: false,
      reject: false,
      verbose: 'none',
    })
    launcher.nodeChildProcess.unref()
    if (launcher.pid !== undefined) return readStat(launcher.pid)
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

export interface Watched {
  readonly directory: string
  readonly command: WrappedCommand
  readonly scoped: boolean
  /** The cocoon's processes, to look for the worker below a sandbox's monitor. */
  readonly members: (worker: ProcessIdentity) => readonly ProcessIdentity[]
}

/**
 * Waits until the worker has been executed, or had its chance.
 * @returns its identity, as its shim recorded it.
 * @throws LaunchRefused  there is no worker. @throws RunnerUnreachable  nothing was heard in time.
 */
export async function awaitWorker(
  watched: Watched,
  launcher: ProcessIdentity | null,
  signal: AbortSignal,
): Promise<ProcessIdentity> {
  const ask = () => {
    // First this, then the files: they are written by then.
    const over = launcher === null || !isAlive(launcher)
    return workerOf(watched, over)
  }
  const worker = await poll(ask, { limitMs: LAUNCH_LIMIT_MS, longestMs: 10, signal })
  if (worker) return worker
  throw new RunnerUnreachable('The launcher did not report in time; another start adopts what it did')
}

function workerOf(watched: Watched, over: boolean): ProcessIdentity | undefined {
  const { directory, command } = watched
  const worker = readIdentity(directory, 'pid')
  const refused = readSmall(directory, 'refused')
  if (refused?.endsWith('\n')) throw explainRefusal(directory, refused, command.argv)
  if (worker === null) {
    // systemd-run could not make the scope: its launcher has never been executed.
    if (over && watched.scoped && readSmall(directory, 'claim') === null) throw new ContainmentRefused()
    if (over) throw new RunnerUnreachable('The launcher ended without a worker: is the disk full?')
    return undefined
  }
  if (isAlive(worker)) return isExecuted(worker, watched) ? worker : undefined
  const ended = readExit(directory)
  const refusal = ended && wrapperRefusal(directory, ended.exit.code, command)
  if (refusal) throw refusal
  return ended !== null || over ? worker : undefined
}

function isExecuted(worker: ProcessIdentity, { command, members }: Watched): boolean {
  const line = readProc(worker.pid, 'cmdline') ?? ''
  // An ending process has no command line any more: the next look finds it gone.
  if (line === '' || isShim(line)) return false
  if (!command.sandboxed) return !isWrapper(line, command)
  return members(worker).some(({ pid }) => (innerPid(pid) ?? 1) !== 1 && isOther(pid, command))
}

/** True if it executes neither the sandbox's program nor what stands before it. */
function isOther(pid: number, command: WrappedCommand): boolean {
  const line = readProc(pid, 'cmdline') ?? ''
  const programs = command.wrappers.map((start) => command.argv[start])
  return line !== '' && !programs.includes(line.split('\0', 1)[0])
}
