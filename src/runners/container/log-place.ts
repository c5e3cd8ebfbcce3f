import { crc32 } from 'node:zlib'
import { splitLines } from '../../logs/split-lines.ts'
import type { OutputPiece } from '../driver.ts'
import type { EngineRecord, Stream } from './log-records.ts'

/** The last record of a stream that was taken. */
interface Mark {
  readonly key: string
  /** Records of the stream with this time, up to the marked one. */
  readonly count: number
}

export type Marks = Readonly<Record<Stream, Mark | null>>

const LINE_FEED = 0x0a
/** Parts of one line that are remembered: more than fit into a file of the engine. */
const MOST_PARTS = 4_096
/** Bytes that would be found again in a part that repeats itself. */
const SAMPLE_BYTES = 64

/**
 * Takes each record of a container once: passes over what was kept already, notices what the engine has dropped
 * meanwhile, and passes over what Docker says twice. Docker (20.10) opens the new file a second time at a turn-over and
 * begins it again, also while it is followed.
 */
export class Place {
  marks: Marks
  readonly #now: () => number
  readonly #isExact: boolean
  readonly #streams: Readonly<Record<Stream, StreamPlace>>

  /** @param isExact  every line has a time of its own (nanoseconds); parts of one line share it. */
  constructor(known: Marks, isExact: boolean, now: () => number = Date.now) {
    this.marks = known
    this.#now = now
    this.#isExact = isExact
    const newest = newestKey(known)
    // The other stream's last record may be older than what the engine was asked for.
    const placeOf = ({ key, count }: Mark) => new StreamPlace({ key, count }, key === newest)
    this.#streams = {
      stdout: known.stdout === null ? new StreamPlace(null, false) : placeOf(known.stdout),
      stderr: known.stderr === null ? new StreamPlace(null, false) : placeOf(known.stderr),
    }
  }

  take(record: EngineRecord): readonly OutputPiece[] {
    const { stream, time, bytes } = record
    const place = this.#streams[stream]
    const verdict = place.judge(record, this.#isExact ? this.#now() : null)
    if (verdict === 'known') return []
    place.took(record, this.#now())
    this.marks = { ...this.marks, [stream]: place.mark }
    const pieces = piecesOf(bytes).map((piece): OutputPiece => ({ ...piece, stream, time, lost: null }))
    if (verdict === 'new') return pieces
    return [{ stream, bytes: new Uint8Array(), partial: false, time, lost: 0 }, ...pieces]
  }
}

class StreamPlace {
  mark: Mark | null
  /** What is passed over until the mark has come by; null = all that comes is new. */
  #known: Mark | null
  #seen = 0
  #tellsGap: boolean
  /** When the mark was set: a clock that was set back since then explains an earlier time. */
  #markedAt = Number.NEGATIVE_INFINITY
  /** Checksums of the parts of a line that is not at its end; null = the last line is whole. */
  #parts: Set<number> | null = null

  constructor(known: Mark | null, tellsGap: boolean) {
    this.mark = known
    this.#known = known
    this.#tellsGap = tellsGap
  }

  /**
   * `gap` = what was the last is no more there, so there may have been others after it.
   * @param now  null = equal times say nothing.
   */
  judge(record: EngineRecord, now: number | null): 'known' | 'new' | 'gap' {
    if (this.#known === null && (now === null || !this.#isRepeat(record, now))) return 'new'
    if (this.#known === null && record.key === this.mark?.key) return 'known'
    if (this.#known === null) this.#beginAgain()
    return this.#passOver(record)
  }

  took({ key, bytes }: EngineRecord, now: number): void {
    this.mark = { key, count: this.mark?.key === key ? this.mark.count + 1 : 1 }
    this.#markedAt = now
    this.#remember(bytes)
  }

  #beginAgain(): void {
    this.#known = this.mark
    this.#seen = 0
    this.#tellsGap = false
  }

  #passOver({ key, bytes }: EngineRecord): 'known' | 'new' | 'gap' {
    const known = this.#known
    if (known === null || key > known.key) {
      this.#known = null
      return this.#tellsGap ? 'gap' : 'new'
    }
    if (key < known.key) return 'known'
    this.#remember(bytes)
    this.#seen += 1
    this.#tellsGap = false
    if (this.#seen >= known.count) this.#known = null
    return 'known'
  }

  #isRepeat({ key, bytes }: EngineRecord, now: number): boolean {
    const { mark } = this
    if (mark === null || now < this.#markedAt) return false
    return key < mark.key || (key === mark.key && (this.#parts === null || this.#isKnownPart(bytes)))
  }

  /** A line that repeats itself has equal parts without being said twice. */
  #isKnownPart(bytes: Buffer): boolean {
    return this.#parts?.has(crc32(bytes)) === true && bytes.indexOf(bytes.subarray(0, SAMPLE_BYTES), 1) === -1
  }

  #remember(bytes: Buffer): void {
    if (bytes.at(-1) === LINE_FEED) this.#parts = null
    else if (this.#parts === null || this.#parts.size >= MOST_PARTS) this.#parts = new Set([crc32(bytes)])
    else this.#parts.add(crc32(bytes))
  }
}

export function newestKey({ stdout, stderr }: Marks): string {
  const [left, right] = [stdout?.key ?? '0', stderr?.key ?? '0']
  return left > right ? left : right
}

/** A record is a line, or a part of one: then it lacks the line feed. */
function piecesOf(bytes: Buffer) {
  return bytes.length === 0 ? [{ bytes, partial: true }] : splitLines(bytes, true).pieces
}
