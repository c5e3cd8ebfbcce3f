import { wakeUp } from '../http/stream-answer.ts'
import type { LogLine } from './log-line.ts'
import { type LogCursor, readOn } from './read-log.ts'
import type { ServiceLog } from './service-log.ts'

export type LogFormat = 'ndjson' | 'sse'

export interface LogFollow {
  readonly log: ServiceLog
  readonly from: LogCursor
  /** Milliseconds; null = all. */
  readonly since: number | null
  readonly format: LogFormat
  /** Null = only what there is. Else asked at the end of the log: true = nothing will be added any more. */
  readonly isOver: (() => boolean) | null
  readonly onPassed: (seq: number) => void
}

const HEARTBEAT_MS = 15_000
/** Someone may say that it is over without anything having been written. */
const LOOK_EVERY_MS = 1_000

/** The text of an answer, piece by piece; what was dropped before a reader came to it is said in its place. */
export async function* logText(follow: LogFollow, signal: AbortSignal): AsyncGenerator<string> {
  const { log, since, format, isOver } = follow
  let cursor = follow.from
  let beatAt = performance.now() + HEARTBEAT_MS
  while (!signal.aborted) {
    // Asked first: what is added until then is read below.
    const last = isOver === null || isOver()
    const chunk = await readOn(log, cursor, since)
    if (chunk) {
      const marker = chunk.missed > 0 ? [gap(chunk.cursor.seq - chunk.lines.length, chunk.missed)] : []
      cursor = chunk.cursor
      follow.onPassed(cursor.seq)
      yield [...marker, ...chunk.lines].map((line) => encode(line, format)).join('')
      beatAt = performance.now() + HEARTBEAT_MS
      continue
    }
    if (last) return
    await wakeUp((wake) => (log.lastSeq > cursor.seq ? soon(wake) : log.onAppend(wake)), LOOK_EVERY_MS, signal)
    if (format === 'ndjson' || performance.now() < beatAt) continue
    beatAt = performance.now() + HEARTBEAT_MS
    yield ': still here\n\n'
  }
}

/** The last words for a reader that reads too slowly. */
export function slowText(seq: number, format: LogFormat): string {
  const line = `[hive: this reader is too slow; go on with after=${seq}]`
  const marker = JSON.stringify({ seq, time: new Date().toISOString(), stream: 'stderr', line, marker: 'slow' })
  return format === 'sse' ? `event: slow\ndata: ${marker}\n\n` : `${marker}\n`
}

function gap(seq: number, missed: number): string {
  const line = `[hive: ${missed} lines were dropped from the log before they were read]`
  const marker: LogLine & { marker: 'gap' } = {
    seq,
    time: new Date().toISOString(),
    stream: 'stderr',
    line,
    marker: 'gap',
  }
  return JSON.stringify(marker)
}

function encode(line: string, format: LogFormat): string {
  if (format === 'ndjson') return `${line}\n`
  const [, seq] = /^\{"seq":(\d+),/.exec(line) ?? []
  return `id: ${seq}\ndata: ${line}\n\n`
}

function soon(wake: () => void): () => void {
  const timer = setImmediate(wake)
  return () => clearImmediate(timer)
}
