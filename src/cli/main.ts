import { COMMON_HELP, type Command, parseInvocation } from './command.ts'
import { change } from './commands/change.ts'
import { doctor } from './commands/doctor.ts'
import { exposed } from './commands/exposed.ts'
import { kinds } from './commands/kinds.ts'
import { list } from './commands/list.ts'
import { logs } from './commands/logs.ts'
import { open } from './commands/open.ts'
import { orphans } from './commands/orphans.ts'
import { serve } from './commands/serve.ts'
import { show } from './commands/show.ts'
import { signalingServer } from './commands/signaling-server.ts'
import { spawn } from './commands/spawn.ts'
import { stats } from './commands/stats.ts'
import { EXIT, reportFailure, usage } from './failure.ts'
import type { CliIo, Environment } from './io.ts'

/** Every command, in the order of `hive --help`. */
export const COMMANDS: readonly Command[] = [
  serve,
  spawn,
  list,
  kinds,
  exposed,
  show,
  logs,
  stats,
  open,
  ...change,
  orphans,
  doctor,
  signalingServer,
]

/**
 * Runs one command line.
 *
 * @param argv  What follows `hive`.
 * @param env   The process environment; read nowhere else.
 * @returns the exit code; never throws.
 */
export async function main(argv: readonly string[], env: Environment, io: CliIo): Promise<number> {
  try {
    return await dispatch(argv, env, io)
  } catch (error) {
    return reportFailure(error, asksJson(argv), io)
  }
}

async function dispatch(argv: readonly string[], env: Environment, io: CliIo): Promise<number> {
  const [word, ...rest] = argv
  if (word === '--version' || word === '-V') return print(io, `${io.version}\n`)
  if (word === '--help' || word === '-h') return print(io, overview())
  if (word === 'help') return print(io, rest[0] === undefined ? overview() : helpOf(commandNamed(rest[0])))
  if (word === undefined) {
    io.stderr.write(overview())
    return EXIT.usage
  }
  const command = commandNamed(word)
  const invocation = parseInvocation(command, rest, env, io)
  return invocation.values['help'] === true ? print(io, helpOf(command)) : command.run(invocation)
}

function print(io: CliIo, text: string): number {
  io.stdout.write(text)
  return EXIT.ok
}

function commandNamed(word: string): Command {
  const command = COMMANDS.find(({ name }) => name === word)
  if (command === undefined) throw usage(`there is no command \`${word}\``)
  return command
}

function helpOf(command: Command): string {
  return `${command.help}\n${COMMON_HELP}`
}

/** Errors are wanted as JSON even when the rest of the line cannot be parsed. */
function asksJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? undefined : end).includes('--json')
}

function overview(): string {
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(18)}${summary}\n`)
  return `hive: spawns cocoons by kind, keeps them alive and serves each under its own address.

Usage: hive <command> [options]        hive <command> --help

Commands:
${rows.join('')}
${COMMON_HELP}  -V, --version      the version

Examples:
  hive serve
  hive spawn native --name web
  hive list --state running
  hive kill web

Exit codes:
  0 ok              1 failed          2 wrong usage      3 not found
  4 no access       5 unreachable     6 conflict         7 did not start, or not in time
  78 the configuration is wrong
`
}
