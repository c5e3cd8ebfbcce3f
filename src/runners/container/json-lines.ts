const MAX_LINE_CHARACTERS = 1_000_000

/** Cuts a stream of JSON lines, however its chunks fall. A line that is not JSON is passed over. */
export class JsonLines {
  readonly #decoder = new TextDecoder()
  #rest = ''

  push(chunk: Uint8Array): readonly unknown[] {
    return this.#take(this.#rest + this.#decoder.decode(chunk, { stream: true }))
  }

  /** What stood behind the last line end. */
  end(): readonly unknown[] {
    return this.#take(`${this.#rest + this.#decoder.decode()}\n`)
  }

  #take(text: string): readonly unknown[] {
    const lines = text.split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAX_LINE_CHARACTERS) throw new Error('the engine sends a line without an end')
    return lines.flatMap(parse)
  }
}

function parse(line: string): readonly unknown[] {
  const text = line.trim()
  if (text === '') return []
  try {
    return [JSON.parse(text)]
  } catch {
    return []
  }
}
