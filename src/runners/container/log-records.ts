import type { IncomingMessage } from 'node:http'
import type { OutputPiece } from '../driver.ts'

/** Stream number, three zeros, length (big endian): Docker Engine API, "Stream format" of attach. */
const HEADER_BYTES = 8
const STDERR = 2
/** Words of the engine itself about reading the log; they end the answer. */
const ENGINE_ERROR = 3
/** Engines cut records at 16 KB; this is far beyond. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024
/** A timestamp with nanoseconds and a zone is at most this long. */
const STAMP_BYTES = 40

export type Stream = OutputPiece['stream']

/** A line as an engine keeps it, or a part of one: then it lacks the line feed. */
export interface EngineRecord {
  readonly stream: Stream
  /** The engine's time of it, comparable as text: seconds, then nine digits. */
  readonly key: string
  readonly time: string
  readonly bytes: Buffer
}

/** The records of each part of the answer as it comes. */
export async function* recordsOf(response: IncomingMessage): AsyncGenerator<readonly EngineRecord[]> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of response) {
    const bytes: Buffer = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
    const { records, used } = wholeFrames(bytes)
    rest = bytes.subarray(used)
    if (records.length > 0) yield records
  }
}

function wholeFrames(bytes: Buffer) {
  const records: EngineRecord[] = []
  let used = 0
  while (bytes.length - used >= HEADER_BYTES) {
    const length = bytes.readUInt32BE(used + 4)
    if (length > MAX_FRAME_BYTES) throw new Error('its frames make no sense')
    const end = used + HEADER_BYTES + length
    if (end > bytes.length) break
    if (bytes[used] === ENGINE_ERROR) throw new Error(bytes.toString('utf8', used + HEADER_BYTES, end).trim())
    const stream = bytes[used] === STDERR ? 'stderr' : 'stdout'
    records.push(readRecord(stream, bytes.subarray(used + HEADER_BYTES, end)))
    used = end
  }
  return { records, used }
}

function readRecord(stream: Stream, payload: Buffer): EngineRecord {
  const head = payload.subarray(0, STAMP_BYTES).toString('latin1')
  const [stamp, day, fraction = '', zone] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |\n?$)/.exec(head) ?? []
  const seconds = Date.parse(`${day}${zone}`) / 1000
  if (stamp === undefined || Number.isNaN(seconds)) throw new Error('its records have no time')
  const time = new Date(seconds * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3))).toISOString()
  const text = stamp.endsWith('\n') ? payload.subarray(stamp.length - 1) : payload.subarray(stamp.length)
  return { stream, key: `${seconds}.${fraction.padEnd(9, '0')}`, time, bytes: text }
}
