/** A longer line is kept as several pieces. */
export const MAX_LINE_BYTES = 16_384

const LINE_FEED = 0x0a
/** The longest UTF-8 sequence has three continuation bytes (RFC 3629 §3). */
const MAX_CONTINUATION = 3

export interface LinePiece {
  readonly bytes: Uint8Array
  readonly partial: boolean
}

export interface SplitLines {
  readonly pieces: readonly LinePiece[]
  /** Bytes that became pieces, line feeds included; the rest is the beginning of a line. */
  readonly used: number
}

/**
 * Cuts bytes into lines. What comes out depends on the bytes alone, never on how they were read, so that reading again
 * from the same place gives the same pieces. A long line is cut between characters where it is UTF-8.
 *
 * @param isEnd  No more bytes will follow: an unfinished line is a (partial) piece, too.
 */
export function splitLines(bytes: Buffer, isEnd: boolean): SplitLines {
  const pieces: LinePiece[] = []
  let used = 0
  while (used < bytes.length) {
    const feed = bytes.indexOf(LINE_FEED, used)
    const end = feed === -1 ? bytes.length : feed
    const isLong = end - used > MAX_LINE_BYTES
    if (feed === -1 && !isLong && !isEnd) break
    const cut = isLong ? cutBefore(bytes, used + MAX_LINE_BYTES) : end
    const partial = isLong || feed === -1
    pieces.push({ bytes: bytes.subarray(used, cut), partial })
    used = partial ? cut : cut + 1
  }
  return { pieces, used }
}

function cutBefore(bytes: Buffer, wanted: number): number {
  for (let cut = wanted; cut >= wanted - MAX_CONTINUATION; cut--) {
    if (((bytes[cut] ?? 0) & 0xc0) !== 0x80) return cut
  }
  return wanted
}
