import { type Reader, text } from './fields.ts'
import { quoted } from './report.ts'

export const PLACEHOLDERS = ['kind', 'service_name', 'request_id', 'port'] as const
export type Placeholder = (typeof PLACEHOLDERS)[number]

/** A piece of a template: text as it comes out, or a placeholder's name (which may be an unknown one). */
export type TemplatePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'placeholder'; readonly name: string }

/**
 * Fills a template in one pass: what a value brings in is never looked at again.
 *
 * `{kind}` and the like become values, `{{` and `}}` single braces; every other brace stands for itself.
 * @throws Error  for a placeholder without a value. The reader refuses unknown ones at start, so this is a caller's fault.
 */
export function fillPlaceholders(template: string, values: Readonly<Record<string, string>>): string {
  return templateParts(template)
    .map((part) => (part.type === 'text' ? part.text : filledIn(part.name, values)))
    .join('')
}

function filledIn(name: string, values: Readonly<Record<string, string>>): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined
  if (value === undefined) throw new Error(`no value for the placeholder {${name}}`)
  return value
}

/** Names of the placeholders in a template, unknown ones included, in order, repeats kept. */
export function placeholdersIn(template: string): readonly string[] {
  return templateParts(template).flatMap((part) => (part.type === 'placeholder' ? [part.name] : []))
}

/** The text before the first placeholder, escapes resolved. */
export function textBeforePlaceholders(template: string): string {
  const [first] = templateParts(template)
  return first?.type === 'text' ? first.text : ''
}

export function isPlaceholder(name: string): name is Placeholder {
  return (PLACEHOLDERS as readonly string[]).includes(name)
}

/** A string that may hold placeholders; unknown ones are problems. Kept as written. */
export const template: Reader<string> = (value, field, report) => {
  const read = text(value, field, report)
  const unknown = new Set(placeholdersIn(read ?? '').filter((name) => !isPlaceholder(name)))
  for (const name of unknown) report.problem(field, `{${unquoted(name)}} is not a known placeholder`, KNOWN)
  return unknown.size === 0 ? read : undefined
}

/**
 * As {@link template}, for values that may be secret: the problem does not repeat what stands in the braces.
 * @param more  Names that are filled in here beside the usual ones.
 */
export function secretTemplateWith(...more: readonly string[]): Reader<string> {
  const known = sayKnown([...PLACEHOLDERS, ...more])
  return (value, field, report) => {
    const read = text(value, field, report)
    if (read === undefined || placeholdersIn(read).every((name) => isPlaceholder(name) || more.includes(name)))
      return read
    report.problem(field, 'holds a placeholder that is not known', known)
    return undefined
  }
}

export const secretTemplate = secretTemplateWith()

/** A string in which nothing is filled in. A known placeholder there would be a mistake, so it is a problem. */
export const literalText: Reader<string> = (value, field, report) => {
  const read = text(value, field, report)
  const found = placeholdersIn(read ?? '').find(isPlaceholder)
  if (found === undefined) return read
  report.problem(field, `holds {${found}}, but nothing is filled in here`, 'placeholders in args or environment')
  return undefined
}

const KNOWN = sayKnown(PLACEHOLDERS)

function sayKnown(names: readonly string[]): string {
  return `${names.map((name) => `{${name}}`).join(', ')}; write {{ and }} for braces of your own`
}

function unquoted(name: string): string {
  return quoted(name).slice(1, -1)
}

/** Cuts a template into parts, left to right. Each character is looked at no more than twice. */
export function templateParts(template: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = []
  let plain = ''
  let at = 0
  while (at < template.length) {
    const name = placeholderAt(template, at)
    if (name !== null) {
      if (plain !== '') parts.push({ type: 'text', text: plain })
      parts.push({ type: 'placeholder', name })
      plain = ''
      at += name.length + 2
    } else {
      const end = endOfPlain(template, at)
      plain += template.slice(at, end.text)
      at = end.next
    }
  }
  if (plain !== '') parts.push({ type: 'text', text: plain })
  return parts
}

/** The name in `{name}` at this place, or null. `{{` is an escape and never begins one. */
function placeholderAt(template: string, at: number): string | null {
  if (template[at] !== '{') return null
  let end = at + 1
  while (isNameCharacter(template.charCodeAt(end))) end += 1
  return end > at + 1 && template[end] === '}' ? template.slice(at + 1, end) : null
}

function isNameCharacter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || code === 0x5f
}

/** The end of the text that stands for itself here (a doubled brace counts as one), and where to go on. */
function endOfPlain(template: string, at: number): { readonly text: number; readonly next: number } {
  const char = template[at]
  if (char === '{' || char === '}') {
    return { text: at + 1, next: template[at + 1] === char ? at + 2 : at + 1 }
  }
  let end = at + 1
  while (end < template.length && template[end] !== '{' && template[end] !== '}') end += 1
  return { text: end, next: end }
}
