import { fstatSync, watch } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { splitLines } from '../../logs/split-lines.ts'
import type { OutputBatch, OutputPiece, OutputQuery } from '../driver.ts'
import { OUTPUT_STREAMS } from './output.ts'
import { closeOutputFiles, type OutputFiles, openOutputFiles, type ScriptOutput, type Stream } from './output-files.ts'

/** Little more than the longest line: of the shortest lines this is ten thousand, and each takes its time. */
const CHUNK_BYTES = 20_480
/** A cocoon that writes faster than its log can be kept loses the older part, which would soon be dropped anyway. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024
const KEPT_BACKLOG_BYTES = 8 * 1024 * 1024
const LEAST_HOLE_BYTES = 1024 * 1024
const PROBE_BYTES = 4096
/** The watcher tells of new output at once; this is how often to look in case it cannot. */
const LOOK_EVERY_MS = 2_000
/** Lines that come one by one are taken together. */
const GATHER_MS = 25

interface Offsets extends Readonly<Record<Stream, number>> {
  /** All that could be read was read, or is said to be lost: files that are gone now are no news. */
  readonly over: boolean
}

/** What a script cocoon writes, from the files it appends to by itself. Errors and meaning as in `LogCapable`. */
export async function* readOutput(
  output: ScriptOutput,
  query: OutputQuery,
  signal: AbortSignal,
): AsyncGenerator<OutputBatch> {
  let at = readPosition(query.position, output.attempt)
  const files = await openOutputFiles(output)
  if (files === null) {
    if (!at.over) yield { pieces: OUTPUT_STREAMS.map((stream) => lossOf(stream, 0)), position: overAt(output, at) }
    return
  }
  try {
    for (;;) {
      const news = query.follow ? armWatch(join(output.directory, 'output')) : null
      const sizes = sizesOf(files)
      try {
        at = yield* readToEnd({ output, files, at, isEnd: !query.follow, signal })
        if (news === null) break
        await news.wait(() => sizesOf(files) !== sizes, signal)
      } finally {
        news?.close()
      }
      await delay(GATHER_MS, undefined, { signal })
    }
    if (!at.over) yield { pieces: [], position: overAt(output, at) }
  } finally {
    await closeOutputFiles(files)
  }
}

/** What two fstat(2) tell at once, since hundreds of cocoons are asked again and again. */
function sizesOf(files: OutputFiles): string {
  return OUTPUT_STREAMS.map((stream) => fstatSync(files[stream].file.fd).size).join(' ')
}

interface Reading {
  readonly output: ScriptOutput
  readonly files: OutputFiles
  readonly at: Offsets
  readonly isEnd: boolean
  readonly signal: AbortSignal
}

/** The streams take turns, so that a noisy one does not keep the other waiting. */
async function* readToEnd({ output, files, at, isEnd, signal }: Reading): AsyncGenerator<OutputBatch, Offsets> {
  let offsets = at
  for (let moved = true; moved; ) {
    moved = false
    for (const stream of OUTPUT_STREAMS) {
      signal.throwIfAborted()
      const read = await readNext(files[stream].file, { stream, from: offsets[stream], isEnd })
      if (read === null) continue
      moved = true
      offsets = { ...offsets, [stream]: read.to, over: false }
      yield { pieces: read.pieces, position: position(output.attempt, offsets) }
      const { file, reclaimer } = files[stream]
      const next = await reclaimer.reclaim(file, read.to)
      if (next === read.to) continue
      offsets = { ...offsets, [stream]: next }
      yield { pieces: [], position: position(output.attempt, offsets) }
    }
  }
  return offsets
}

interface Place {
  readonly stream: Stream
  readonly from: number
  readonly isEnd: boolean
}

async function readNext(file: FileHandle, { stream, from, isEnd }: Place) {
  const { size, blocks } = await file.stat()
  const hole = size - blocks * 512
  if (from === 0 && hole >= LEAST_HOLE_BYTES && (await isHollow(file)))
    return { pieces: [lossOf(stream, hole)], to: hole }
  // It was emptied since the position was kept.
  const start = size < from ? 0 : from
  if (size - start > MAX_BACKLOG_BYTES) {
    const to = size - KEPT_BACKLOG_BYTES
    return { pieces: [lossOf(stream, to - start)], to }
  }
  const length = Math.min(CHUNK_BYTES, size - start)
  if (length === 0) return start === from ? null : { pieces: [], to: 0 }
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, start)
  const { pieces, used } = splitLines(buffer.subarray(0, bytesRead), isEnd && start + bytesRead >= size)
  if (used === 0) return null
  return {
    pieces: pieces.map((piece): OutputPiece => ({ ...piece, stream, time: null, lost: null })),
    to: start + used,
  }
}

/** The log that held what was read and given back to the disk (see reclaim.ts) is gone: these are not the cocoon's bytes. */
async function isHollow(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0)
  return buffer.subarray(0, bytesRead).every((byte) => byte === 0)
}

function lossOf(stream: Stream, lost: number): OutputPiece {
  return { stream, bytes: new Uint8Array(), partial: false, time: null, lost }
}

function position(attempt: number, { stdout, stderr }: Offsets): string {
  return `${attempt} ${stdout} ${stderr}`
}

function overAt({ attempt }: ScriptOutput, offsets: Offsets): string {
  return `${position(attempt, offsets)} over`
}

/** Of another attempt = nothing of this one was read. */
function readPosition(text: string | null, attempt: number): Offsets {
  const [, of, stdout, stderr, over] = /^(\d+) (\d+) (\d+)( over)?$/.exec(text ?? '') ?? []
  if (Number(of) !== attempt) return { stdout: 0, stderr: 0, over: false }
  return { stdout: Number(stdout), stderr: Number(stderr), over: over !== undefined }
}

/** Armed before reading, so that nothing written meanwhile goes unnoticed; one event is enough, so it is closed then. */
function armWatch(directory: string) {
  const { promise, resolve } = Promise.withResolvers<void>()
  let close = () => {}
  try {
    const watcher = watch(directory, () => {
      watcher.close()
      resolve()
    })
    // inotify limits, or the directory is gone: the timer still looks.
    watcher.on('error', () => watcher.close())
    close = () => watcher.close()
  } catch {
    // as above
  }
  return {
    close,
    async wait(isNews: () => boolean, signal: AbortSignal): Promise<void> {
      const end = () => resolve()
      const timer = setInterval(() => isNews() && end(), LOOK_EVERY_MS)
      signal.addEventListener('abort', end)
      if (signal.aborted) end()
      await promise
      signal.removeEventListener('abort', end)
      clearInterval(timer)
      signal.throwIfAborted()
    },
  }
}
