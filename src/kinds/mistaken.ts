/** What a text was surely meant as, and how that is written. */
export interface Mistake {
  readonly wrong: string
  readonly right: string
}

const FORMATS = '"id:image", "id:runner_type:config" or a JSON array'

/**
 * Recognises a COCOON_KINDS text that is no list and no array at all, but one of the things that people put there by
 * mistake: read as a list, each would give a string of problems that all miss the point. Never quotes the text.
 *
 * @param text  Without blanks around it; one that starts with `[` is an array and not asked about.
 */
export function findMistake(text: string): Mistake | null {
  if (text.startsWith('{'))
    return {
      wrong: 'is JSON objects without the brackets of a JSON array',
      right: 'a [ before the first object, a ] behind the last: [{"id":…},{"id":…}]',
    }
  if (/^["'`\u2018-\u201f]/.test(text))
    return {
      wrong: 'starts with a quote',
      right: `the value without quotes around it (env files keep them): ${FORMATS}`,
    }
  if (/^(?:@|~|\.{0,2}\/|file:\/\/)/.test(text) || /^[^:,{\s]+\.(?:json|ya?ml|txt|conf)$/i.test(text))
    return { wrong: 'looks like the path of a file', right: 'what is in the file: COCOON_KINDS="$(cat kinds.json)"' }
  if (/^(?:---|-\s)/.test(text)) return { wrong: 'looks like YAML', right: FORMATS }
  return null
}
