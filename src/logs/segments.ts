import { open, readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { seqOf } from './log-line.ts'

/**
 * A log on disk: files named after the first sequence number they hold, oldest first. After the lines of each batch
 * stands where in the runner's output reading goes on; a batch counts only with that.
 */

export interface Segment {
  readonly path: string
  readonly firstSeq: number
}

/** What a log's files say: where to go on writing, and reading the runner's output. */
export interface LogEnd {
  readonly lastSeq: number
  readonly position: string | null
  readonly segment: Segment | null
  readonly bytes: number
}

const FIRST_LOOK_BYTES = 65_536
const MARK = '{"position":'

export async function listSegments(directory: string): Promise<readonly Segment[]> {
  const names = await readdir(directory).catch(() => [])
  return names
    .filter((name) => /^\d{15}\.ndjson$/.test(name))
    .sort()
    .map((name) => ({ path: join(directory, name), firstSeq: Number(name.slice(0, 15)) }))
}

export function segmentAt(directory: string, firstSeq: number): Segment {
  return { path: join(directory, `${String(firstSeq).padStart(15, '0')}.ndjson`), firstSeq }
}

export function encodePosition(position: string): string {
  return JSON.stringify({ position })
}

export function isPosition(text: string): boolean {
  return text.startsWith(MARK)
}

/** Finds the end of the last whole batch and cuts off what a Hive that died has left behind it. */
export async function recoverEnd(directory: string): Promise<LogEnd> {
  const segments = await listSegments(directory)
  for (const segment of segments.toReversed()) {
    const found = await lastBatch(segment)
    if (found) {
      await truncate(segment.path, found.bytes)
      return { ...found, segment }
    }
    // Not even its first position was written: nobody has ever read a line of it.
    await rm(segment.path, { force: true })
  }
  return { lastSeq: 0, position: null, segment: null, bytes: 0 }
}

async function lastBatch(segment: Segment): Promise<Omit<LogEnd, 'segment'> | null> {
  const { size } = await stat(segment.path)
  for (let look = FIRST_LOOK_BYTES; ; look *= 8) {
    const from = Math.max(0, size - look)
    const found = readEnd(await readRange(segment.path, from, size), segment)
    if (found && (found.lastSeq !== null || from === 0))
      return { lastSeq: found.lastSeq ?? segment.firstSeq - 1, position: found.position, bytes: from + found.bytes }
    if (from === 0) return null
  }
}

function readEnd(bytes: Buffer, _segment: Segment) {
  const ending = bytes.lastIndexOf(0x0a)
  const lines = bytes
    .subarray(0, ending + 1)
    .toString('latin1')
    .split('\n')
  let end = ending + 1
  let position: string | null = null
  let positionEnd = 0
  for (let index = lines.length - 2; index >= 0; index--) {
    const text = lines[index] ?? ''
    if (position === null && isPosition(text)) {
      position = readPosition(text)
      positionEnd = end
    } else if (position !== null) {
      const lastSeq = seqOf(text)
      if (lastSeq !== null) return { lastSeq, position, bytes: positionEnd }
    }
    end -= text.length + 1
  }
  return position === null ? null : { lastSeq: null, position, bytes: positionEnd }
}

function readPosition(text: string): string | null {
  try {
    return String((JSON.parse(text) as { position: unknown }).position)
  } catch {
    return null // the front of it is cut off: a longer look finds it whole
  }
}

/** Bytes from `from` up to `to`, or to the end of the file. */
export async function readRange(path: string, from: number, to: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(to - from)
    let filled = 0
    while (filled < buffer.length) {
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, from + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  } finally {
    await file.close()
  }
}
