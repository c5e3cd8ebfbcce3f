import { ID_FORM, isKindId, isRunnerType, KNOWN_RUNNERS, type RawKind } from './entry.ts'
import { findJsonFault } from './json-fault.ts'
import type { RunnerType } from './kind.ts'
import type { Report } from './report.ts'
import type { ListEntry } from './split.ts'

type PositionOf = (offset: number) => string

const EXAMPLES: Readonly<Record<RunnerType, string>> = {
  docker: 'docker:ubuntu or docker:{"image":"ubuntu"}',
  podman: 'podman:ubuntu or podman:{"image":"ubuntu"}',
  script: 'script:/usr/local/bin/worker or script:{"command":"/usr/local/bin/worker"}',
}

/** The id of an entry, or null. What is no id may be anything, also a piece of a secret: it goes no further than this. */
export function idOf({ text }: ListEntry): string | null {
  const colon = text.indexOf(':')
  const written = colon === -1 ? null : text.slice(0, colon)
  return isKindId(written) ? written : null
}

/**
 * Reads `id:rest` of a comma list. If `rest` up to its first colon is a runner type, what follows is that runner's
 * config: JSON in braces, else a bare image or command. Any other `rest` is a docker image, kept whole.
 */
export function readListEntry(entry: ListEntry, positionOf: PositionOf, report: Report): RawKind | null {
  const { text, start, fault } = entry
  const colon = text.indexOf(':')
  const id = idOf(entry) ?? ''
  const at = (offset: number): string => ` (${positionOf(offset)})`
  if (fault !== null) {
    report.problem(null, fault.wrong + at(fault.offset), fault.right)
    return null
  }
  if (colon === -1) {
    report.problem(null, `has no colon${at(start)}`, '"id:image", "id:runner_type:config" or a JSON array')
    return null
  }
  if (id === '') report.problem('id', `is not a kind id${at(start)}`, ID_FORM)
  return readRest(id, { text: text.slice(colon + 1), start: start + colon + 1 }, positionOf, report)
}

interface Rest {
  readonly text: string
  readonly start: number
}

function readRest(id: string, rest: Rest, positionOf: PositionOf, report: Report): RawKind | null {
  const colon = rest.text.indexOf(':')
  const first = colon === -1 ? rest.text : rest.text.slice(0, colon)
  // JSON may go over many lines; a bare image or command cannot.
  if (/\n\s*\S/.test(rest.text.split('{', 1)[0] ?? '')) {
    report.problem(null, `goes on over a line break (${positionOf(rest.start)})`, 'a comma at the end of each entry')
    return null
  }
  if (!isRunnerType(first)) return readLegacyImage(id, first, rest, report)
  const bare = colon === -1 ? '' : rest.text.slice(colon + 1)
  const config = { text: bare.trim(), start: rest.start + rest.text.length - bare.trimStart().length }
  if (config.text === '') {
    report.problem('runner_config', `is missing after ${first}`, `${id === '' ? 'id' : id}:${EXAMPLES[first]}`)
    return null
  }
  const runner_config = config.text.startsWith('{')
    ? readJsonConfig(config, positionOf, report)
    : { [first === 'script' ? 'command' : 'image']: config.text }
  return runner_config === null ? null : { id, runner_type: first, runner_config }
}

function readLegacyImage(id: string, first: string, rest: Rest, report: Report): RawKind | null {
  const almost = first.trim().toLowerCase()
  if (!isRunnerType(almost)) return { id, runner_type: 'docker', runner_config: { image: rest.text } }
  report.problem('runner_type', 'is spelt in upper case or with blanks', `one of ${KNOWN_RUNNERS}, exactly so`)
  return null
}

function readJsonConfig(config: Rest, positionOf: PositionOf, report: Report): RawKind['runner_config'] | null {
  const fault = findJsonFault(config.text)
  // Text that starts with a brace and is JSON is an object.
  if (fault === null) return JSON.parse(config.text) as RawKind['runner_config']
  report.problem('runner_config', `${fault.wrong} (${positionOf(config.start + fault.offset)})`, fault.right)
  return null
}
