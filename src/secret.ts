import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/** A value that prints as `[redacted]` wherever it is logged, serialised or inspected; only `reveal()` gives it away. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
