type Body = Readonly<Record<string, unknown>>

/** What is wrong with a message, as it is told to its sender. */
export class BadMessage extends Error {}

/** @throws BadMessage  a field is missing or no text. */
export function requireTexts(body: Body, ...names: readonly string[]): void {
  for (const name of names)
    if (typeof body[name] !== 'string') throw new BadMessage(`missing field \`${name}\` of ${String(body['type'])}`)
}

/** A text, or undefined if it is absent or null. @throws BadMessage  it is something else. */
export function optionalText(body: Body, name: string): string | undefined {
  const value = body[name] ?? undefined
  if (value !== undefined && typeof value !== 'string') throw new BadMessage(`\`${name}\` is no text`)
  return value
}

const KIND_DEFAULTS = { runner_type: 'docker', runner_config: {}, image: '' }

/**
 * The kinds of a registration. Generation 1 has read defaults for all but `id`; generation 2 refuses the whole message
 * when one of the four fields is missing.
 * @throws BadMessage
 */
export function readKinds(body: Body, hasDefaults: boolean): readonly Body[] {
  const { cocoon_kinds } = body
  if (!Array.isArray(cocoon_kinds)) throw new BadMessage('missing field `cocoon_kinds`')
  return cocoon_kinds.map((given: unknown) => {
    const kind: Body = { ...(hasDefaults && KIND_DEFAULTS), ...(typeof given === 'object' && given) }
    requireTexts(kind, 'id', 'runner_type', 'image')
    if (kind['runner_config'] === undefined) throw new BadMessage('missing field `runner_config`')
    return kind
  })
}
