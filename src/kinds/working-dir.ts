import { posix } from 'node:path'
import type { Reader } from './fields.ts'
import { isPlainAbsolute, isWithin } from './host-paths.ts'
import { fillPlaceholders, placeholdersIn, template, textBeforePlaceholders } from './placeholders.ts'

const SAMPLE = { kind: 'k', service_name: 's', request_id: 'r', port: '1' }
const RIGHT = 'an absolute path without . and .., such as "/srv/cocoons/{service_name}"'

/**
 * The directory that a working directory must stay in: what stands before its first placeholder, cut at the last slash.
 * `/tmp/cocoons/{service_name}` → `/tmp/cocoons`, `/srv/a-{kind}/x` → `/srv`; without placeholders the whole path.
 */
export function literalPrefix(workingDir: string): string {
  const before = textBeforePlaceholders(workingDir)
  if (placeholdersIn(workingDir).length === 0) return before
  const slash = before.lastIndexOf('/')
  return slash <= 0 ? '/' : before.slice(0, slash)
}

/** True if a filled-in working directory is plain and still below the literal prefix of its template. Lexical only. */
export function staysInPrefix(filled: string, workingDir: string): boolean {
  return isPlainAbsolute(filled) && isWithin(filled, literalPrefix(workingDir))
}

/** `working_dir`: an absolute path that no placeholder can turn into a place outside its literal prefix. */
export const workingDir: Reader<string> = (value, field, report) => {
  const read = template(value, field, report)
  if (read === undefined) return undefined
  const sample = fillPlaceholders(read, SAMPLE)
  const hasPlaceholder = placeholdersIn(read).length > 0
  const wrong = !isPlainAbsolute(sample)
    ? 'is not an absolute path without . and .., doubled slashes or a slash at the end'
    : posix.dirname(sample) === sample || (hasPlaceholder && literalPrefix(read) === '/')
      ? 'has no directory of its own before the first placeholder'
      : null
  if (wrong === null) return read
  report.problem(field, wrong, RIGHT)
  return undefined
}
