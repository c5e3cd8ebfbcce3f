import { stat } from 'node:fs/promises'
import { seqOf, timeOf } from './log-line.ts'
import { isPosition, listSegments, readRange, type Segment } from './segments.ts'
import type { ServiceLog } from './service-log.ts'

/** How much of a file is read at once, and so what a reader holds at most (a single line may be longer). */
const CHUNK_BYTES = 65_536
const MAX_IDLE_LOOKS = 5
/** A line as long as they get, unless it is full of what JSON escapes. */
const LOOK_BYTES = 32_768
/** Enough of a line's front for its sequence number. */
const FRONT_BYTES = 32

/** Where a reader stands; it holds no file open, so an old file can be dropped under it. */
export interface LogCursor {
  /** The last line it has passed. */
  readonly seq: number
  readonly segment: Segment | null
  readonly offset: number
}

export interface LogChunk {
  /** Encoded lines, in order. */
  readonly lines: readonly string[]
  /** Lines that were dropped before a slow reader came to them. */
  readonly missed: number
  readonly cursor: LogCursor
}

export function cursorAfter(seq: number): LogCursor {
  return { seq, segment: null, offset: 0 }
}

/**
 * The next lines after the cursor.
 * @param since  Milliseconds; older lines are passed over.
 * @returns null when the cursor is at the end for now.
 */
export async function readOn(log: ServiceLog, cursor: LogCursor, since: number | null): Promise<LogChunk | null> {
  let at = cursor
  // What is at or below lastSeq is in a file; only a file that was dropped meanwhile makes another look necessary.
  for (let idle = 0; at.seq < log.lastSeq && idle < MAX_IDLE_LOOKS; idle++) {
    const place = await placeOf(log, at)
    if (place === null) return null
    const read = await readLines(place.segment, place.offset)
    const chunk = take(read?.lines ?? [], { after: at.seq, upTo: log.lastSeq, since })
    const next = advance({ at, place, chunk, isLast: read === null || (read.isEnd && chunk.lastSeq < log.lastSeq) })
    if (next.isProgress) idle = 0
    at = next.at
    if (chunk.lines.length > 0 || chunk.missed > 0) return { lines: chunk.lines, missed: chunk.missed, cursor: at }
  }
  return null
}

/** The first line that there still is, less one: what a reader without a cursor begins after. */
export async function oldestCursor(log: ServiceLog): Promise<LogCursor> {
  const [oldest] = await listSegments(log.directory)
  return cursorAfter(oldest === undefined ? log.lastSeq : oldest.firstSeq - 1)
}

interface Step {
  readonly at: LogCursor
  readonly place: { readonly segment: Segment; readonly offset: number }
  readonly chunk: { readonly lastSeq: number; readonly bytes: number }
  /** The file holds no more of what is there. */
  readonly isLast: boolean
}

function advance({ at, place, chunk, isLast }: Step): { readonly at: LogCursor; readonly isProgress: boolean } {
  const segment = isLast ? null : place.segment
  return {
    at: { seq: chunk.lastSeq, segment, offset: place.offset + chunk.bytes },
    isProgress: chunk.lastSeq > at.seq || (chunk.bytes > 0 && !isLast),
  }
}

async function placeOf(log: ServiceLog, { seq, segment, offset }: LogCursor) {
  if (segment !== null) return { segment, offset }
  const segments = await listSegments(log.directory)
  const found = segments.findLast(({ firstSeq }) => firstSeq <= seq + 1) ?? segments[0]
  return found ? { segment: found, offset: await offsetBefore(found, seq) } : null
}

/**
 * Where to begin to read for what comes after `seq`: halved until less than a chunk is left, so that the last lines of a
 * long file do not cost as much as all of it. Where a look tells nothing, the rest is read in order.
 *
 * @returns the offset of a line at or before `seq`, or 0.
 */
async function offsetBefore({ path }: Segment, seq: number): Promise<number> {
  let low = 0
  let high = (await stat(path).catch(() => null))?.size ?? 0 // whoever reads on notices that it is gone
  while (high - low > CHUNK_BYTES) {
    const middle = Math.floor((low + high) / 2)
    const line = firstLine(await readRange(path, middle, middle + LOOK_BYTES).catch(() => Buffer.alloc(0)))
    if (line === null) break
    if (line.seq <= seq) low = middle + line.offset
    else high = middle
  }
  return low
}

/** The first numbered line that begins in these bytes. */
function firstLine(bytes: Buffer): { readonly offset: number; readonly seq: number } | null {
  for (let start = bytes.indexOf(0x0a) + 1; start > 0; start = bytes.indexOf(0x0a, start) + 1) {
    const seq = seqOf(bytes.toString('latin1', start, start + FRONT_BYTES))
    if (seq !== null) return { offset: start, seq }
  }
  return null
}

/** Whole lines from an offset; null = the file is gone. */
async function readLines(segment: Segment, offset: number) {
  try {
    for (let size = CHUNK_BYTES; ; size *= 2) {
      const bytes = await readRange(segment.path, offset, offset + size)
      const end = bytes.lastIndexOf(0x0a) + 1
      const isEnd = bytes.length < size
      if (end === 0 && !isEnd) continue
      const lines = bytes.subarray(0, end).toString('utf8').split('\n').slice(0, -1)
      return { lines, isEnd }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

interface Window {
  readonly after: number
  readonly upTo: number
  readonly since: number | null
}

/** Lines that are not visible yet are left for the next time. */
function take(texts: readonly string[], { after, upTo, since }: Window) {
  const lines: string[] = []
  let lastSeq = after
  let missed = 0
  let bytes = 0
  for (const text of texts) {
    const seq = isPosition(text) ? null : seqOf(text)
    if (seq !== null && seq > upTo) break
    bytes += Buffer.byteLength(text) + 1
    if (seq === null || seq <= lastSeq) continue
    missed += seq - lastSeq - 1
    lastSeq = seq
    if (since === null || timeOf(text) >= since) lines.push(text)
  }
  return { lines, lastSeq, missed, bytes }
}
