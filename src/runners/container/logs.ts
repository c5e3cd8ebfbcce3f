import type { OutputBatch, OutputQuery } from '../driver.ts'
import { RunnerUnreachable } from '../driver.ts'
import type { Engine } from './engine.ts'
import { readLogFiles } from './file-logs.ts'
import type { FilePlace } from './log-files.ts'
import { FORMATS } from './log-formats.ts'
import { type Marks, newestKey, Place } from './log-place.ts'
import { recordsOf } from './log-records.ts'

/** How far a container's log was read: in the files of its engine, or by the times that its engine tells. */
type Position = Marks | FilePlace

/**
 * What a container wrote: from its engine's own files where Hive may read them, else by its engine's API, which loses
 * lines when a log turns over faster than it is read. A log is read to its end in the way that was begun.
 */
export async function* readContainerLogs(
  engine: Engine,
  id: string,
  query: OutputQuery,
  signal: AbortSignal,
): AsyncGenerator<OutputBatch> {
  const position = readPosition(query.position, id)
  if (position !== null && 'stdout' in position) return yield* readByApi(engine, id, { ...query, position }, signal)
  const container = engine.facts.isLocal ? await engine.inspect(id, signal) : null
  const path = container?.logPath ?? null
  const format = FORMATS[engine.facts.flavour]
  const { follow } = query
  const batches =
    path === null ? null : await readLogFiles({ container: id, path, format }, { place: position, follow }, signal)
  if (batches !== null) return yield* batches
  if (position === null) return yield* readByApi(engine, id, { ...query, position }, signal)
  if (container !== null) throw new RunnerUnreachable(`${engine.address}: its log at ${path} cannot be read any more`)
}

/**
 * Times are monotonic per stream, so the last one of each, with a count for records of equal time, says where to go on
 * after the engine was asked for everything since then again.
 */
async function* readByApi(
  engine: Engine,
  container: string,
  { follow, position }: { readonly follow: boolean; readonly position: Marks | null },
  signal: AbortSignal,
): AsyncGenerator<OutputBatch> {
  const known = position ?? { stdout: null, stderr: null }
  const response = await engine.logs(container, { follow, sinceS: sinceOf(known) }, signal)
  if (response === null) return
  // Podman tells seconds only, so many lines have one time.
  const place = new Place(known, engine.facts.flavour === 'docker')
  const onAbort = () => response.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for await (const records of recordsOf(response)) {
      const pieces = records.flatMap((record) => place.take(record))
      if (pieces.length > 0) yield { pieces, position: writePosition(container, place.marks) }
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw new RunnerUnreachable(`the log broke off: ${(error as Error).message}`, { cause: error })
  } finally {
    signal.removeEventListener('abort', onAbort)
    response.destroy()
  }
}

/** A little earlier: engines differ in whether the time itself is included, and round fractions. */
function sinceOf(marks: Marks): number {
  return Math.max(0, Math.floor(Number(newestKey(marks))) - 2)
}

function writePosition(container: string, { stdout, stderr }: Marks): string {
  return JSON.stringify({ container, stdout, stderr })
}

/** null = nothing of this container was read. */
function readPosition(text: string | null, container: string): Position | null {
  if (text?.startsWith('{') !== true) return null
  const { container: of, ...position } = JSON.parse(text) as Position & { readonly container: string }
  return of === container ? position : null
}
