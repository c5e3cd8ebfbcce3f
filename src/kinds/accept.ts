import { listOf, type Reader, textLike } from './fields.ts'
import type { RunnerConfig } from './kind.ts'
import { quoted } from './report.ts'

/** Names that load code into a program or move it elsewhere, and the names that Hive itself sets. `*` = any ending. */
const NEVER = [
  ...['LD_*', 'DYLD_*', 'NODE_*', 'PYTHON*', 'PERL*', 'RUBY*', 'JAVA_*', 'GIT_*', 'BASH_ENV', 'ENV', 'PATH', 'HOME'],
  ...['COCOON_*', 'SIGNALING_SERVER_URL', 'PORT', 'PORT_*', 'HIVE_URL_PREFIX', 'HIVE_USES_*'],
]
const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/

/** True for the name of an environment variable: letters, digits and `_`, no digit first, at most 255 characters. */
export function isEnvironmentName(name: string): boolean {
  return ENVIRONMENT_NAME.test(name)
}

/**
 * Whether a spawn request may set this environment variable: `accept_environment` of the kind names it, and it is
 * neither a loader or interpreter switch nor one of Hive's own. No kind can open those two.
 */
export function acceptsEnvironment(config: RunnerConfig, name: string): boolean {
  if (!isEnvironmentName(name) || isNeverAccepted(name)) return false
  return config.acceptEnvironment.some((glob) => matchesGlob(glob, name))
}

/** `accept_environment`: globs of names. One that could never match is a problem, since it would promise too much. */
export const acceptEnvironment: Reader<readonly string[]> = (value, field, report) =>
  listOf(glob, 'names')(value, field, report)

const globForm = textLike(
  /^[A-Za-z_*][A-Za-z0-9_*]*$/,
  'the name of an environment variable, with * for any ending or part',
)

const glob: Reader<string> = (value, field, report) => {
  const read = globForm(value, field, report)
  const literal = read?.split('*', 1)[0] ?? ''
  // With a star behind it, the literal part decides only if it already reaches into a refused prefix.
  const isHopeless = read === literal ? isNeverAccepted(read) : NEVER.some((never) => reachesInto(literal, never))
  if (read === undefined || !isHopeless) return read
  report.problem(
    field,
    `${quoted(read)} can never be set by a request`,
    'names that neither load code nor belong to Hive',
  )
  return undefined
}

function isNeverAccepted(name: string): boolean {
  return NEVER.some((never) => (never.endsWith('*') ? name.startsWith(never.slice(0, -1)) : name === never))
}

function reachesInto(literal: string, never: string): boolean {
  return never.endsWith('*') && literal.startsWith(never.slice(0, -1))
}

/** Matches with `*` for any run of characters: one walk that only ever returns to the last star. */
export function matchesGlob(glob: string, name: string): boolean {
  let at = 0
  let star = -1
  let resume = 0
  let place = 0
  while (place < name.length) {
    if (glob[at] === '*') {
      star = at
      resume = place
      at += 1
    } else if (glob[at] === name[place]) {
      at += 1
      place += 1
    } else if (star !== -1) {
      at = star + 1
      resume += 1
      place = resume
    } else return false
  }
  while (glob[at] === '*') at += 1
  return at === glob.length
}
