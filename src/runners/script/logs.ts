import { watch } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { splitLines } from '../../logs/split-lines.ts'
import type { OutputBatch, OutputPiece, OutputQuery } from '../driver.ts'
import { OUTPUT_STREAMS, outputFile } from './output.ts'
import { Reclaimer } from './reclaim.ts'

/** Little more than the longest line: of the shortest lines this is ten thousand, and each takes its time. */
const CHUNK_BYTES = 20_480
/** A cocoon that writes faster than its log can be kept loses the older part, which would soon be dropped anyway. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024
const KEPT_BACKLOG_BYTES = 8 * 1024 * 1024
/** The watcher tells of new output at once; this is how often to look in case it cannot. */
const LOOK_EVERY_MS = 2_000
/** Lines that come one by one are taken together. */
const GATHER_MS = 25

export interface ScriptOutput {
  readonly directory: string
  readonly attempt: number
  readonly fallocate: string | null
}

type Stream = (typeof OUTPUT_STREAMS)[number]
type Offsets = Readonly<Record<Stream, number>>

/** What a script cocoon writes, from the files it appends to by itself. Errors and meaning as in `LogCapable`. */
export async function* readOutput(
  output: ScriptOutput,
  query: OutputQuery,
  signal: AbortSignal,
): AsyncGenerator<OutputBatch> {
  const files = await openFiles(output)
  if (files === null) return
  try {
    let at = readPosition(query.position, output.attempt)
    for (;;) {
      const news = query.follow ? armWatch(join(output.directory, 'output')) : null
      try {
        at = yield* readToEnd({ output, files, at, isEnd: !query.follow, signal })
        if (news === null) return
        await news.wait(signal)
      } finally {
        news?.close()
      }
      await delay(GATHER_MS, undefined, { signal })
    }
  } finally {
    await Promise.all(OUTPUT_STREAMS.map((stream) => files[stream].file.close()))
  }
}

interface OpenFile {
  readonly path: string
  readonly file: FileHandle
  readonly reclaimer: Reclaimer
}

async function openFiles({ directory, fallocate }: ScriptOutput): Promise<Record<Stream, OpenFile> | null> {
  const opened: Partial<Record<Stream, OpenFile>> = {}
  for (const stream of OUTPUT_STREAMS) {
    const path = outputFile(directory, stream)
    const file = await open(path, 'r').catch(() => null)
    if (file) opened[stream] = { path, file, reclaimer: new Reclaimer(fallocate) }
  }
  const { stdout, stderr } = opened
  if (stdout && stderr) return { stdout, stderr }
  await (stdout ?? stderr)?.file.close()
  return null
}

interface Reading {
  readonly output: ScriptOutput
  readonly files: Record<Stream, OpenFile>
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
      offsets = { ...offsets, [stream]: read.to }
      yield { pieces: read.pieces, position: position(output.attempt, offsets) }
      const { path, file, reclaimer } = files[stream]
      const next = await reclaimer.reclaim(path, file, read.to)
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
  const { size } = await file.stat()
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

function lossOf(stream: Stream, lost: number): OutputPiece {
  return { stream, bytes: new Uint8Array(), partial: false, time: null, lost }
}

function position(attempt: number, { stdout, stderr }: Offsets): string {
  return `${attempt} ${stdout} ${stderr}`
}

/** Of another attempt = nothing of this one was read. */
function readPosition(text: string | null, attempt: number): Offsets {
  const [, of, stdout, stderr] = /^(\d+) (\d+) (\d+)$/.exec(text ?? '') ?? []
  return Number(of) === attempt ? { stdout: Number(stdout), stderr: Number(stderr) } : { stdout: 0, stderr: 0 }
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
    async wait(signal: AbortSignal): Promise<void> {
      const waited = new AbortController()
      const timer = delay(LOOK_EVERY_MS, undefined, { signal: AbortSignal.any([signal, waited.signal]) })
      await Promise.race([promise, timer.catch(() => undefined)])
      waited.abort()
      signal.throwIfAborted()
    },
  }
}
