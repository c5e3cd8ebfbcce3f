import { createReadStream, createWriteStream } from 'node:fs'
import { type FileHandle, open, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** Bytes after which a stream's file is turned over; one older file is kept, so a stream takes at most about twice this. */
const MAX_OUTPUT_BYTES = 10 * 1024 * 1024

export const OUTPUT_STREAMS = ['stdout', 'stderr'] as const

export interface OpenOutput {
  readonly stdout: FileHandle
  readonly stderr: FileHandle
}

/** Opens the files that a cocoon writes to by itself. O_APPEND: they may be truncated under its hands. */
export async function openOutput(directory: string): Promise<OpenOutput> {
  const stdout = await open(outputFile(directory, 'stdout'), 'a', 0o600)
  try {
    return { stdout, stderr: await open(outputFile(directory, 'stderr'), 'a', 0o600) }
  } catch (error) {
    await stdout.close()
    throw error
  }
}

export async function closeOutput(output: OpenOutput): Promise<void> {
  await Promise.all([output.stdout.close(), output.stderr.close()])
}

export function outputFile(directory: string, stream: 'stdout' | 'stderr'): string {
  return join(directory, 'output', `${stream}.log`)
}

/**
 * Turns over what has grown too large: its last bytes go to `<stream>.log.1`, then it is truncated. What is written
 * between the two steps is lost, and nothing is capped while no Hive runs.
 */
export async function capOutput(directory: string, maxBytes: number = MAX_OUTPUT_BYTES): Promise<void> {
  for (const stream of OUTPUT_STREAMS) {
    const file = outputFile(directory, stream)
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    )
    if (size <= maxBytes) continue
    const tail = createReadStream(file, { start: size - maxBytes, end: size - 1 })
    await pipeline(tail, createWriteStream(`${file}.1`, { mode: 0o600 }))
    await truncate(file)
  }
}
