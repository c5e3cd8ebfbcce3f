/** The first thing that keeps a text from being one JSON value (RFC 8259). Never quotes the text. */
export interface JsonFault {
  readonly offset: number
  readonly wrong: string
  readonly right: string
  /** How many elements of an outermost array are complete before the fault. */
  readonly elementsBefore: number
}

const MAX_DEPTH = 32
const BLANK = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.+-])/y
// A run of plain characters, else one escape. Control characters must be escaped in JSON.
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 section 7 excludes exactly these.
const STRING_PART = /[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

type Awaited = 'value' | 'key' | 'value or ]' | 'key or }' | 'colon' | 'comma or end'

/**
 * Says where and why a text is not JSON, or null if it is. `JSON.parse` alone will not do: its message quotes the text,
 * which may hold secrets, it keeps the last of two equal keys in silence, and it sets no limit to nesting.
 */
export function findJsonFault(text: string): JsonFault | null {
  return new Scan(text).run()
}

class Fault extends Error {
  readonly right: string
  constructor(wrong: string, right: string) {
    super(wrong)
    this.right = right
  }
}

/** One pass with an explicit stack: depth costs no call stack. */
class Scan {
  readonly #text: string
  /** One per open bracket: the keys seen so far of an object, null for an array. */
  readonly #open: (Set<string> | null)[] = []
  #at = 0
  #awaited: Awaited = 'value'
  #elements = 0

  constructor(text: string) {
    this.#text = text
  }

  run(): JsonFault | null {
    try {
      while (this.#step());
      return null
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return { offset: this.#at, wrong: error.message, right: error.right, elementsBefore: this.#elements }
    }
  }

  #step(): boolean {
    this.#take(BLANK)
    const char = this.#text[this.#at]
    if (char === undefined) return this.#end()
    if (this.#awaited === 'comma or end') this.#afterValue(char)
    else if (this.#awaited === 'colon') this.#colon(char)
    else if (this.#awaited === 'key' || this.#awaited === 'key or }') this.#key(char)
    else this.#value(char)
    return true
  }

  #end(): false {
    if (this.#awaited === 'comma or end' && this.#open.length === 0) return false
    throw new Fault('the JSON ends too early', 'a } or ] for every { or [')
  }

  #value(char: string): void {
    if (char === ']' && this.#awaited === 'value or ]') this.#close()
    else if (char === '{' || char === '[') this.#nest(char)
    else {
      if (char === '"') this.#string()
      else if (!this.#word()) throw unexpected(char, this.#awaited)
      this.#awaited = 'comma or end'
    }
  }

  #nest(char: '{' | '['): void {
    if (this.#open.length === MAX_DEPTH) throw new Fault('the JSON is nested too deeply', `at most ${MAX_DEPTH} levels`)
    this.#open.push(char === '{' ? new Set() : null)
    this.#awaited = char === '{' ? 'key or }' : 'value or ]'
    this.#at += 1
  }

  #close(): void {
    this.#open.pop()
    this.#awaited = 'comma or end'
    this.#at += 1
  }

  #word(): boolean {
    for (const word of ['true', 'false', 'null']) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return true
      }
    }
    return this.#take(NUMBER) > 0
  }

  #string(): string {
    const start = this.#at
    this.#at += 1
    while (this.#take(STRING_PART) > 0);
    const char = this.#text[this.#at]
    if (char === '\\')
      throw new Fault('an escape in a JSON string is not valid', '\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX')
    if (char !== undefined && char !== '"')
      throw new Fault('a control character stands in a JSON string', 'an escape such as \\n')
    if (char === undefined) throw new Fault('a JSON string is never closed', 'a closing double quote')
    this.#at += 1
    return this.#text.slice(start, this.#at)
  }

  #key(char: string): void {
    if (char === '}' && this.#awaited === 'key or }') this.#close()
    else if (char === '"') this.#newKey()
    else throw unexpected(char, this.#awaited)
  }

  #newKey(): void {
    const start = this.#at
    const key = JSON.parse(this.#string()) as string
    const seen = this.#open.at(-1)
    if (seen?.has(key)) {
      this.#at = start
      throw new Fault('a key stands twice in one JSON object', 'each key once')
    }
    seen?.add(key)
    this.#awaited = 'colon'
  }

  #colon(char: string): void {
    if (char !== ':') throw unexpected(char, this.#awaited)
    this.#at += 1
    this.#awaited = 'value'
  }

  #afterValue(char: string): void {
    const within = this.#open.at(-1)
    if (within === undefined)
      throw new Fault('text follows the end of the JSON', 'nothing after it, or a comma before the next entry')
    if (char === (within === null ? ']' : '}')) this.#close()
    else if (char === ',') this.#next(within)
    else throw unexpected(char, this.#awaited)
  }

  #next(within: Set<string> | null): void {
    if (this.#open.length === 1 && within === null) this.#elements += 1
    this.#at += 1
    this.#awaited = within === null ? 'value' : 'key'
  }

  /** Matches a sticky pattern here and moves behind it; answers how far. */
  #take(pattern: RegExp): number {
    pattern.lastIndex = this.#at
    const length = pattern.exec(this.#text)?.[0].length ?? 0
    this.#at += length
    return length
  }
}

function unexpected(char: string, awaited: Awaited): Fault {
  const expected = {
    key: 'a key in double quotes',
    value: 'a value',
    colon: 'a :',
    'comma or end': 'a comma or a closing bracket',
  }
  if (char === "'") return new Fault('JSON strings do not stand in single quotes', 'double quotes')
  if (char === '/') return new Fault('JSON has no comments', 'the same without the comments')
  if ((char === '}' || char === ']') && (awaited === 'key' || awaited === 'value'))
    return new Fault(
      'a comma or colon comes right before a closing bracket',
      'no trailing comma, and a value for each key',
    )
  const wanted = awaited === 'value or ]' ? 'value' : awaited === 'key or }' ? 'key' : awaited
  return new Fault('the JSON is not valid here', expected[wanted])
}
