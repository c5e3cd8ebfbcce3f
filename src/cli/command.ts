import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { type Client, createClient } from './client.ts'
import { usage } from './failure.ts'
import type { CliIo, Environment } from './io.ts'
import { resolveTarget } from './target.ts'

/** One word of the command line. */
export interface Command {
  readonly name: string
  /** What it is for, in a few words for the overview. */
  readonly summary: string
  /** Everything `--help` shows above the common options: usage, options, examples. */
  readonly help: string
  readonly options?: ParseArgsOptionsConfig
  /** How many arguments it takes, and what they are called. */
  readonly takes?: { readonly what: string; readonly min: number; readonly max: number }
  /** Resolves with the exit code. */
  run(invocation: Invocation): Promise<number>
}

/** A command line after parsing, with everything a command may use. */
export interface Invocation {
  readonly command: string
  readonly values: Readonly<Record<string, unknown>>
  readonly args: readonly string[]
  readonly json: boolean
  readonly env: Environment
  readonly io: CliIo
  /** Resolves the target and reads the token: only for commands that talk to Hive. */
  connect(): Promise<Client>
}

const COMMON = {
  json: { type: 'boolean' },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsOptionsConfig

export const COMMON_HELP = `Common options:
  --json             stable output for programs; errors as one line of problem JSON on stderr
  --url <url>        which Hive to talk to (HIVE_URL, else http://127.0.0.1:<HIVE_PORT, else 8020>)
  --token-file <f>   where its token is (else HIVE_TOKEN, else the token file of a Hive on this machine)
  -h, --help         this text
`

/** @throws CliFailure  usage, exit 2. */
export function parseInvocation(command: Command, argv: readonly string[], env: Environment, io: CliIo): Invocation {
  const { values, positionals } = parse(command, argv)
  const { what, min, max } = command.takes ?? { what: 'arguments', min: 0, max: 0 }
  if (values['help'] !== true && positionals.length < min) throw usage(`${what} is missing`, command.name)
  if (positionals.length > max) throw usage(`too many arguments: ${positionals.slice(max).join(' ')}`, command.name)
  const url = textOf(values, 'url')
  const tokenFile = textOf(values, 'token-file')
  return {
    command: command.name,
    values,
    args: positionals,
    json: values['json'] === true,
    env,
    io,
    connect: async () => createClient(await resolveTarget(env, { url, tokenFile })),
  }
}

function parse(command: Command, argv: readonly string[]): { values: Record<string, unknown>; positionals: string[] } {
  try {
    const options = { ...command.options, ...COMMON }
    return parseArgs({ args: [...argv], options, allowPositionals: true, allowNegative: true, strict: true })
  } catch (error) {
    // What Node adds about options that are meant as arguments would send people astray: no name starts with a dash.
    throw usage((error as Error).message.replace(/\. To specify a positional argument.*$/s, ''), command.name)
  }
}

export function textOf(values: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

export function manyOf(values: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const value = values[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
