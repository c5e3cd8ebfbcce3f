/**
 * Tells data frames from control frames in one direction of a WebSocket (RFC 6455 §5.2), reading nothing but headers.
 * A tab that only pings is not in use; extensions change payloads, never the opcode of what they carry.
 */
export class FrameScan {
  /** Bytes of payload still to be skipped. */
  #left = 0
  /** A header of which not all has come yet: at most 14 bytes. */
  #header: Buffer = EMPTY
  #isData = false

  /** True if the chunk holds any part of a text, binary or continuation frame. */
  sawData(chunk: Buffer): boolean {
    let rest = this.#header.length === 0 ? chunk : Buffer.concat([this.#header, chunk])
    this.#header = EMPTY
    let seen = false
    while (rest.length > 0) {
      if (this.#left === 0) {
        const size = headerSize(rest)
        if (size === null || rest.length < size) {
          this.#header = Buffer.from(rest)
          return seen
        }
        this.#isData = ((rest[0] ?? 0) & 0x08) === 0
        this.#left = payloadSize(rest)
        seen ||= this.#isData
        rest = rest.subarray(size)
      }
      const taken = Math.min(this.#left, rest.length)
      if (taken > 0) seen ||= this.#isData
      this.#left -= taken
      rest = rest.subarray(taken)
    }
    return seen
  }
}

const EMPTY = Buffer.alloc(0)

/** null = the two bytes that tell it are not both there. */
function headerSize(bytes: Buffer): number | null {
  const second = bytes[1]
  if (second === undefined) return null
  const length = second & 0x7f
  const extended = length === 126 ? 2 : length === 127 ? 8 : 0
  return 2 + extended + (second & 0x80 ? 4 : 0)
}

function payloadSize(bytes: Buffer): number {
  const length = (bytes[1] ?? 0) & 0x7f
  if (length === 126) return bytes.readUInt16BE(2)
  return length === 127 ? Number(bytes.readBigUInt64BE(2)) : length
}
