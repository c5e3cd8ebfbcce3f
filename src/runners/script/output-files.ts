import { readlinkSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { CocoonIdentity } from './cage.ts'
import { workerRuns } from './containment.ts'
import { readProc, readStat } from './identity.ts'
import { isLauncher } from './launcher.ts'
import { OUTPUT_STREAMS, outputFile } from './output.ts'
import { Reclaimer } from './reclaim.ts'

export type Stream = (typeof OUTPUT_STREAMS)[number]

export interface ScriptOutput {
  readonly directory: string
  readonly attempt: number
  readonly fallocate: string | null
  readonly identity: CocoonIdentity
  readonly bootId: string
}

export interface OpenFile {
  readonly file: FileHandle
  readonly reclaimer: Reclaimer
}

export type OutputFiles = Readonly<Record<Stream, OpenFile>>

/** Where launcher and worker have the files open: see launcher.ts. */
const LAUNCHER_FDS = { stdout: 1, stderr: 9 } as const
const WORKER_FDS = { stdout: 1, stderr: 2 } as const

/** Opens both; null = they are gone, and nobody known has them open any more. */
export async function openOutputFiles(output: ScriptOutput): Promise<OutputFiles | null> {
  const [stdout, stderr] = await Promise.all(OUTPUT_STREAMS.map((stream) => openOne(output, stream)))
  if (stdout && stderr) return { stdout, stderr }
  await (stdout ?? stderr)?.file.close()
  return null
}

async function openOne(output: ScriptOutput, stream: Stream): Promise<OpenFile | null> {
  const found = (await tryOpen(outputFile(output.directory, stream))) ?? (await openElsewhere(output, stream))
  return found && { file: found, reclaimer: new Reclaimer(output.fallocate) }
}

export async function closeOutputFiles(files: OutputFiles): Promise<void> {
  await Promise.all(OUTPUT_STREAMS.map((stream) => files[stream].file.close()))
}

/** Somebody may have taken the directory away behind Hive's back: the files are there as long as they are written to. */
async function openElsewhere(output: ScriptOutput, stream: Stream): Promise<FileHandle | null> {
  const { directory, identity, bootId } = output
  const { worker } = identity
  if (worker === null || !workerRuns(identity, bootId)) return null
  const parent = readStat(worker.pid)?.parent ?? 0
  if (isLauncher(readProc(parent, 'cmdline') ?? '')) return tryOpen(`/proc/${parent}/fd/${LAUNCHER_FDS[stream]}`)
  const path = `/proc/${worker.pid}/fd/${WORKER_FDS[stream]}`
  // A worker may have put something else there.
  return linkOf(path) === `${outputFile(directory, stream)} (deleted)` ? tryOpen(path) : null
}

async function tryOpen(path: string): Promise<FileHandle | null> {
  return open(path, 'r').catch(() => null)
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}
