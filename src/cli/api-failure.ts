import { CliFailure, EXIT, type ExitCode, type Problem } from './failure.ts'
import type { Target } from './target.ts'

/** Turns an error answer of Hive into the failure of a command: its exit code, and what a user can do about it. */
export function apiFailure(target: Target, status: number, body: unknown): CliFailure {
  if (!isProblem(body)) return notHive(target, status)
  return new CliFailure(exitCode(body.code, status), { ...body, status }, mend(body.code, target))
}

/** Something answers at the address, but not as Hive would. */
export function notHive(target: Target, status: number): CliFailure {
  return new CliFailure(
    EXIT.unreachable,
    {
      code: 'CLI_NOT_HIVE',
      title: 'What answers there is not Hive',
      detail: `${target.base} answered ${status}.`,
      status,
    },
    'Check --url or HIVE_URL, and HIVE_PORT of the server.',
  )
}

function isProblem(body: unknown): body is Problem {
  if (typeof body !== 'object' || body === null) return false
  const { code, title } = body as { code?: unknown; title?: unknown }
  return typeof code === 'string' && typeof title === 'string'
}

const BY_CODE: ReadonlyMap<string, ExitCode> = new Map<string, ExitCode>([
  ['HIVE_KIND_UNKNOWN', EXIT.notFound],
  ['HIVE_START_FAILED', EXIT.notStarted],
  ['HIVE_LAUNCH_REFUSED', EXIT.notStarted],
  ['HIVE_RUNNER_UNAVAILABLE', EXIT.notStarted],
])

const BY_STATUS: ReadonlyMap<number, ExitCode> = new Map<number, ExitCode>([
  [400, EXIT.usage],
  [401, EXIT.unauthorized],
  [403, EXIT.unauthorized],
  [404, EXIT.notFound],
  [409, EXIT.conflict],
  [410, EXIT.notFound],
  [412, EXIT.conflict],
])

function exitCode(code: string, status: number): ExitCode {
  return BY_CODE.get(code) ?? BY_STATUS.get(status) ?? EXIT.failed
}

/** Hive's `detail` says what is wrong there; this says what to type here. */
function mend(code: string, target: Target): string | null {
  if (code === 'HIVE_UNAUTHORIZED') {
    return target.token === null
      ? `No token was found; looked at ${target.tokenSource}. Set HIVE_TOKEN or --token-file; Hive's start line says where its token is.`
      : `The token of ${target.tokenSource} is not the one of ${target.base}.`
  }
  if (code === 'HIVE_KIND_UNKNOWN') return '`hive kinds` lists what there is.'
  if (code === 'HIVE_SERVICE_UNKNOWN') return '`hive list` lists what there is.'
  if (code === 'HIVE_RUNNER_UNAVAILABLE') return '`hive kinds --long` says what is missing.'
  if (code === 'HIVE_NAME_TAKEN') return 'Choose another --name, or remove the old one with `hive kill`.'
  if (code === 'HIVE_HOST_REFUSED')
    return 'Use the address that the server knows, or add the name to its HIVE_ALLOWED_HOSTS.'
  return null
}
