import type { OutputPiece } from '../runners/driver.ts'

/** One line as it is stored and sent. `partial` stands only where it is true, `dropped` only where output was lost. */
export interface LogLine {
  /** From 1, without gaps, over all attempts of a service. */
  readonly seq: number
  readonly time: string
  readonly stream: 'stdout' | 'stderr'
  /** Bytes that are not UTF-8 are U+FFFD. */
  readonly line: string
  readonly partial?: true
  /** Bytes of output that are missing here; 0 = nobody knows how many. */
  readonly dropped?: number
}

/** JSON in one line: control characters are escaped, so a line can neither end a record nor begin one. */
export function encodeLine(piece: OutputPiece, seq: number, now: string): string {
  const { stream, bytes, partial, lost } = piece
  const time = piece.time ?? now
  if (lost !== null) return JSON.stringify({ seq, time, stream, line: lostText(lost), dropped: lost } satisfies LogLine)
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  // Put together by hand: there may be a million of them a second.
  return `{"seq":${seq},"time":"${time}","stream":"${stream}","line":${JSON.stringify(line)}${partial ? ',"partial":true' : ''}}`
}

function lostText(bytes: number): string {
  return bytes === 0 ? '[hive: some output is lost here]' : `[hive: ${bytes} bytes of output are lost here]`
}

/** The sequence number at the front of an encoded line; null = it is no such line. */
export function seqOf(text: string): number | null {
  const [, seq] = /^\{"seq":(\d{1,15}),/.exec(text) ?? []
  return seq === undefined ? null : Number(seq)
}

/** The time of an encoded line in milliseconds. */
export function timeOf(text: string): number {
  const [, time] = /^\{"seq":\d+,"time":"([^"]+)"/.exec(text) ?? []
  return Date.parse(time ?? '')
}
