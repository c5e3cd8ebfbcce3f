/** What the command line needs of its process, passed in by the bin so that nothing here touches globals. */

export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface CliIo {
  /** Results only, so that they can be piped. */
  readonly stdout: Output
  /** Progress, notes and errors. */
  readonly stderr: Output
  readonly version: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Shows control characters as `\x1b`: names, labels and errors come from elsewhere and must not steer a terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, escaped)
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}
