import type { IncomingMessage } from 'node:http'
import { splitLines } from '../../logs/split-lines.ts'
import type { OutputBatch, OutputPiece, OutputQuery } from '../driver.ts'
import { RunnerUnreachable } from '../driver.ts'
import type { Engine } from './engine.ts'

/** Stream number, three zeros, length (big endian): Docker Engine API, "Stream format" of attach. */
const HEADER_BYTES = 8
const STDERR = 2
/** Engines cut records at 16 KB; this is far beyond. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024
/** A timestamp with nanoseconds and a zone is at most this long. */
const STAMP_BYTES = 40

type Stream = OutputPiece['stream']

/** The engine's time of a record, comparable as text: seconds, then nine digits. */
interface Mark {
  readonly key: string
  /** Records of the stream with this time, up to the marked one. */
  readonly count: number
}

type Marks = Readonly<Record<Stream, Mark | null>>

/**
 * What a container wrote, from its engine's log. Times are monotonic per stream, so the last one of each, with a count
 * for records of equal time, says where to go on after the engine was asked for everything since then again.
 */
export async function* readContainerLogs(
  engine: Engine,
  container: string,
  query: OutputQuery,
  signal: AbortSignal,
): AsyncGenerator<OutputBatch> {
  const known = readPosition(query.position, container)
  const response = await engine.logs(container, { follow: query.follow, sinceS: sinceOf(known) }, signal)
  if (response === null) return
  const place = new Place(known)
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

interface EngineRecord {
  readonly stream: Stream
  readonly key: string
  readonly time: string
  readonly bytes: Buffer
}

/** Passes over what was kept already, and notices what the engine has dropped meanwhile. */
class Place {
  marks: Marks
  readonly #known: Marks
  readonly #seen: Record<Stream, number> = { stdout: 0, stderr: 0 }
  readonly #caughtUp: Record<Stream, boolean>

  constructor(known: Marks) {
    this.marks = known
    this.#known = known
    this.#caughtUp = { stdout: known.stdout === null, stderr: known.stderr === null }
  }

  take(record: EngineRecord): readonly OutputPiece[] {
    const { stream, key, time, bytes } = record
    const known = this.#known[stream]
    const isNew = this.#caughtUp[stream] || known === null
    if (!isNew && key < known.key) return []
    if (!isNew && key === known.key && ++this.#seen[stream] <= known.count) return []
    // The other stream's last record may be older than what the engine was asked for.
    const isGap = !isNew && this.#seen[stream] === 0 && known.key === newestKey(this.#known)
    this.#caughtUp[stream] = true
    const before = this.marks[stream]
    this.marks = { ...this.marks, [stream]: { key, count: before?.key === key ? before.count + 1 : 1 } }
    const pieces = piecesOf(bytes).map((piece): OutputPiece => ({ ...piece, stream, time, lost: null }))
    return isGap ? [{ stream, bytes: new Uint8Array(), partial: false, time, lost: 0 }, ...pieces] : pieces
  }
}

/** A record is a line, or a part of one: then it lacks the line feed. */
function piecesOf(bytes: Buffer) {
  return bytes.length === 0 ? [{ bytes, partial: true }] : splitLines(bytes, true).pieces
}

/** The records of each part of the answer as it comes. */
async function* recordsOf(response: IncomingMessage): AsyncGenerator<readonly EngineRecord[]> {
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

/** A little earlier: engines differ in whether the time itself is included, and round fractions. */
function sinceOf(marks: Marks): number {
  return Math.max(0, Math.floor(Number(newestKey(marks))) - 2)
}

function newestKey({ stdout, stderr }: Marks): string {
  const [left, right] = [stdout?.key ?? '0', stderr?.key ?? '0']
  return left > right ? left : right
}

function writePosition(container: string, { stdout, stderr }: Marks): string {
  return JSON.stringify({ container, stdout, stderr })
}

/** Of another container = nothing of this one was read. */
function readPosition(text: string | null, container: string): Marks {
  const none = { stdout: null, stderr: null }
  if (text?.startsWith('{') !== true) return none
  const kept = JSON.parse(text) as Marks & { readonly container: string }
  return kept.container === container ? { stdout: kept.stdout, stderr: kept.stderr } : none
}
