import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameScan } from '../../src/proxy/frames.ts'

function frame(opcode: number, size: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0
  const extended = size > 65_535 ? 8 : size > 125 ? 2 : 0
  const head = Buffer.alloc(2 + extended + (masked ? 4 : 0))
  head[0] = 0x80 | opcode
  head[1] = mask | (extended === 8 ? 127 : extended === 2 ? 126 : size)
  if (extended === 2) head.writeUInt16BE(size, 2)
  if (extended === 8) head.writeBigUInt64BE(BigInt(size), 2)
  return Buffer.concat([head, Buffer.alloc(size, 0x81)])
}

test('FrameScan: text, binary and continuation are data; ping, pong and close are not', () => {
  for (const [opcode, isData] of [
    [0, true],
    [1, true],
    [2, true],
    [8, false],
    [9, false],
    [10, false],
  ] as const)
    for (const masked of [true, false])
      assert.equal(new FrameScan().sawData(frame(opcode, 5, masked)), isData, `opcode ${opcode}`)
})

test('FrameScan: says the same of any frames however they are cut into chunks', () => {
  const some = fc.record({
    opcode: fc.constantFrom(1, 2, 8, 9, 10),
    size: fc.constantFrom(0, 1, 125, 126, 300, 65_536),
    masked: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(some, { maxLength: 5 }), fc.array(fc.nat(80_000), { maxLength: 8 }), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(({ opcode, size, masked }) => frame(opcode, size, masked)))
      const scan = new FrameScan()
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
      const seen = places.slice(1).map((end, n) => scan.sawData(bytes.subarray(places[n], end)))
      assert.equal(
        seen.includes(true),
        frames.some(({ opcode }) => opcode < 8),
      )
    }),
    { numRuns: 300 },
  )
})
