import type { ScriptConfig } from '../../kinds/kind.ts'
import type { CheckedLaunch } from './checks.ts'
import { PROGRAM_FD } from './launcher.ts'
import { rlimitOptions } from './rlimits.ts'
import { sandboxCommand } from './sandbox.ts'

/** What is executed for a worker, and through what. */
export interface WrappedCommand {
  /** The whole argv; the first element is an absolute path. */
  readonly argv: readonly string[]
  /** Where in `argv` each program stands that executes the rest, outermost first. */
  readonly wrappers: readonly number[]
  /** The last wrapper stays, with the worker in a pid namespace below it. */
  readonly sandboxed: boolean
}

interface Surroundings {
  readonly searchPath: string | null
  readonly stateDir: string
  readonly engineSockets: readonly string[]
  readonly work: string
}

/** limits → user → sandbox → the command. */
export function wrapCommand(config: ScriptConfig, checked: CheckedLaunch, around: Surroundings): WrappedCommand {
  const { path, user, tools, sandbox, acting } = checked
  const options = rlimitOptions(config.resources, acting)
  const layers: string[][] = []
  if (options.length > 0 && tools.prlimit !== null) layers.push([tools.prlimit, ...options, '--'])
  if (user !== null) layers.push([...user.prefix])
  if (sandbox !== null) {
    layers.push(
      sandboxCommand({
        ...around,
        sandbox: sandbox.kind,
        tool: sandbox.tool,
        command: path,
        args: config.args,
        isOwnWork: config.workingDir === null,
      }),
    )
  }
  const wrappers: number[] = []
  const argv: string[] = []
  for (const layer of layers) {
    wrappers.push(argv.length)
    argv.push(...layer)
  }
  // What was hashed is what is executed: through the open file, not through its path.
  argv.push(config.sha256 ? `/proc/self/fd/${PROGRAM_FD}` : path, ...config.args)
  return { argv, wrappers, sandboxed: sandbox !== null }
}

/** True if a command line of /proc is one of the wrappers', before it executes the rest. */
export function isWrapper(commandLine: string, { argv, wrappers }: WrappedCommand): boolean {
  return wrappers.some((start) => commandLine === `${argv.slice(start).join('\0')}\0`)
}
