import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'

export const OUTPUT_STREAMS = ['stdout', 'stderr'] as const

export interface OpenOutput {
  readonly stdout: FileHandle
  readonly stderr: FileHandle
}

/**
 * Opens the files that a cocoon writes to by itself: it needs no Hive for that. What was read is given back to the disk
 * under its hands (see reclaim.ts), hence O_APPEND. While no Hive runs they grow.
 */
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
