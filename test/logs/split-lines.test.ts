import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_LINE_BYTES, splitLines } from '../../src/logs/split-lines.ts'

function joined(bytes: Buffer, readSizes: readonly number[]): { text: Buffer; cuts: number[] } {
  const parts: Uint8Array[] = []
  const cuts: number[] = []
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = (readSizes[turn % readSizes.length] ?? 1) + MAX_LINE_BYTES + 1
    const chunk = bytes.subarray(at, at + size)
    const { pieces, used } = splitLines(chunk, at + size >= bytes.length)
    for (const { bytes: piece, partial } of pieces) parts.push(piece, partial ? Buffer.alloc(0) : Buffer.from('\n'))
    cuts.push(...pieces.map(({ bytes: piece }) => piece.length))
    at += used
  }
  return { text: Buffer.concat(parts), cuts }
}

test('F60: pieces joined are the bytes as written, and do not depend on how they were read', () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(Buffer.from('\n')),
    fc.nat({ max: 40_000 }).map((count) => Buffer.alloc(count, 'é')),
  )
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.array(fc.nat({ max: 70_000 }), { minLength: 1 }),
      (parts, sizes) => {
        const bytes = Buffer.concat(parts)
        const read = joined(bytes, sizes)
        assert.ok(read.text.equals(bytes))
        assert.deepEqual(read.cuts, joined(bytes, [1_000_000]).cuts)
        assert.ok(read.cuts.every((length) => length <= MAX_LINE_BYTES))
      },
    ),
    { numRuns: 100 },
  )
})

test('a long line is cut between characters', () => {
  const { pieces } = splitLines(Buffer.from(`a${'€'.repeat(20_000)}\n`), false)
  assert.ok(pieces.length > 3)
  for (const { bytes } of pieces) assert.doesNotMatch(Buffer.from(bytes).toString(), /\uFFFD/)
})

test('the beginning of a line is left until the rest of it comes', () => {
  assert.deepEqual(splitLines(Buffer.from('one\ntw'), false).used, 4)
  assert.deepEqual(
    splitLines(Buffer.from('tw'), true).pieces.map(({ partial }) => partial),
    [true],
  )
})
