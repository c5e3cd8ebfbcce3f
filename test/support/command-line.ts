import { main } from '../../src/cli/main.ts'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Makes stderr a terminal of 80 columns. */
  readonly terminal?: boolean
}

/** Runs one command line inside this process, with its own environment and streams. */
export async function hive(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  let stdout = ''
  let stderr = ''
  const code = await main(
    argv,
    { HIVE_STATE_DIR: '/nonexistent', ...options.env },
    {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text), isTTY: options.terminal === true, columns: 80 },
      version: '9.9.9',
    },
  )
  return { code, stdout, stderr }
}
