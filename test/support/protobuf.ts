/** The values of a message by field number, in order (protobuf.dev/programming-guides/encoding). */
export type Fields = ReadonlyMap<number, readonly (Buffer | bigint)[]>

/** @throws RangeError  the bytes are no message. */
export function readMessage(bytes: Buffer): Fields {
  const fields = new Map<number, (Buffer | bigint)[]>()
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at)
    const field = Number(tag.value >> 3n)
    const read = readValue(bytes, tag.next, Number(tag.value & 7n))
    fields.set(field, [...(fields.get(field) ?? []), read.value])
    at = read.next
  }
  return fields
}

export function bytesOf(message: Fields, field: number): Buffer {
  const value = message.get(field)?.[0]
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0)
}

export function textOf(message: Fields, field: number): string {
  return bytesOf(message, field).toString('utf8')
}

export function numberOf(message: Fields, field: number): bigint {
  const value = message.get(field)?.[0]
  return typeof value === 'bigint' ? value : 0n
}

interface Read<Value> {
  readonly value: Value
  readonly next: number
}

function readValue(bytes: Buffer, at: number, wireType: number): Read<Buffer | bigint> {
  if (wireType === 0) return readVarint(bytes, at)
  if (wireType === 1) return { value: bytes.readBigUInt64LE(at), next: at + 8 }
  if (wireType === 5) return { value: BigInt(bytes.readUInt32LE(at)), next: at + 4 }
  if (wireType !== 2) throw new RangeError(`wire type ${wireType}`)
  const { value: length, next } = readVarint(bytes, at)
  const end = next + Number(length)
  if (end > bytes.length) throw new RangeError('a field ends after its message')
  return { value: bytes.subarray(next, end), next: end }
}

function readVarint(bytes: Buffer, from: number): Read<bigint> {
  let value = 0n
  for (let at = from, shift = 0n; ; at++, shift += 7n) {
    const byte = bytes.readUInt8(at)
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return { value, next: at + 1 }
  }
}
