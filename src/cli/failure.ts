import type { CliIo } from './io.ts'
import { printable } from './io.ts'

/** Exit codes of every command; documented in `hive --help`. 78 is EX_CONFIG of sysexits.h. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unauthorized: 4,
  unreachable: 5,
  conflict: 6,
  notStarted: 7,
  config: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** A problem document (RFC 9457): Hive's own as it came, or one that the command line made. */
export interface Problem {
  readonly code: string
  readonly title: string
  readonly detail?: string
  readonly status?: number
  readonly [member: string]: unknown
}

/** Ends a command: what to print and which code to exit with. */
export class CliFailure extends Error {
  readonly exit: ExitCode
  readonly problem: Problem
  /** What to do about it, for people. */
  readonly mend: string | null

  constructor(exit: ExitCode, problem: Problem, mend: string | null = null) {
    super(problem.title)
    this.name = 'CliFailure'
    this.exit = exit
    this.problem = problem
    this.mend = mend
  }
}

/** Hive could not be reached. `lost` = the request may have arrived all the same. */
export class Unreachable extends CliFailure {
  readonly lost: boolean

  constructor(detail: string, mend: string, lost: boolean) {
    super(EXIT.unreachable, { code: 'CLI_UNREACHABLE', title: 'Hive cannot be reached', detail }, mend)
    this.name = 'Unreachable'
    this.lost = lost
  }
}

/** The arguments are wrong. */
export function usage(detail: string, command?: string): CliFailure {
  const help = command === undefined ? 'hive --help' : `hive ${command} --help`
  return new CliFailure(
    EXIT.usage,
    { code: 'CLI_USAGE', title: 'The command line is not valid', detail },
    `See \`${help}\`.`,
  )
}

/**
 * Prints an error on stderr: as one line of problem JSON, or as title, detail, wrong fields and the mend.
 *
 * @returns the exit code.
 */
export function reportFailure(error: unknown, json: boolean, io: CliIo): ExitCode {
  const failure = error instanceof CliFailure ? error : unexpected(error)
  const { problem, mend, exit } = failure
  if (json) {
    io.stderr.write(`${JSON.stringify({ ...problem, ...(mend === null ? {} : { mend }), exit_code: exit })}\n`)
    return exit
  }
  const lines = [`hive: ${problem.title}`, problem.detail, ...fieldLines(problem['errors']), mend]
  for (const line of lines) if (line) io.stderr.write(`${line.split('\n').map(printable).join('\n')}\n`)
  return exit
}

function unexpected(error: unknown): CliFailure {
  const detail = error instanceof Error ? error.message : String(error)
  return new CliFailure(EXIT.failed, {
    code: 'CLI_INTERNAL',
    title: 'Something went wrong inside the command line',
    detail,
  })
}

function fieldLines(errors: unknown): string[] {
  if (!Array.isArray(errors)) return []
  return errors.map((error: { pointer?: unknown; detail?: unknown }) => `  ${error.pointer}: ${error.detail}`)
}
