import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Marks, Place } from '../../src/runners/container/log-place.ts'
import type { EngineRecord } from '../../src/runners/container/log-records.ts'

const NOTHING: Marks = { stdout: null, stderr: null }
const record = (at: number, bytes: Buffer | string = `line ${at}\n`): EngineRecord => {
  const key = `1700000000.${String(at).padStart(9, '0')}`
  return { stream: 'stdout', key, time: new Date(0).toISOString(), bytes: Buffer.from(bytes) }
}
const part = (): Buffer => Buffer.from(randomBytes(8_192).toString('hex'))
const taken = (place: Place, records: readonly EngineRecord[]): string[] =>
  records.flatMap((each) => place.take(each)).map(({ bytes, lost }) => (lost === null ? String(bytes) : 'LOST'))

describe('what Docker says of a log that turns over', () => {
  it('F62: lines that it says again from the beginning of the new file are taken once', () => {
    const place = new Place(NOTHING, true)
    const said = [1, 2, 3, 4, 3, 4, 3, 4, 5, 5, 6].map((at) => record(at))
    assert.deepEqual(taken(place, said), ['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'line 6'])
  })

  it('F62: they are also taken once after the log was opened again', () => {
    const first = new Place(NOTHING, true)
    taken(
      first,
      [1, 2, 3].map((at) => record(at)),
    )
    const again = new Place(first.marks, true)
    const said = [2, 3, 4, 2, 3, 4, 4, 5].map((at) => record(at))
    assert.deepEqual(taken(again, said), ['line 4', 'line 5'])
  })

  it('F62: parts of a long line are taken once, and none is lost for being equal to another', () => {
    const [one, two, three] = [part(), part(), Buffer.from('end\n')]
    const parts = [one, two, one, two, two, three, three].map((bytes) => record(7, bytes))
    const place = new Place(NOTHING, true)
    const pieces = parts.flatMap((part) => place.take(part))
    assert.deepEqual(Buffer.concat(pieces.map(({ bytes }) => bytes)), Buffer.concat([one, two, Buffer.from('end')]))
    const zeros = Buffer.alloc(16_384)
    const equal = new Place(NOTHING, true)
    const kept = [zeros, zeros, zeros].flatMap((bytes) => equal.take(record(8, bytes)))
    assert.equal(kept.length, 3)
    assert.equal(new Place(equal.marks, true).take(record(8, zeros)).length, 0)
  })

  it('F59: after the clock was set back what comes is new', () => {
    let now = 5_000
    const place = new Place(NOTHING, true, () => now)
    assert.deepEqual(taken(place, [record(5)]), ['line 5'])
    now = 1_000
    assert.deepEqual(taken(place, [record(1), record(2)]), ['line 1', 'line 2'])
  })

  it('what the engine has dropped meanwhile is marked', () => {
    const first = new Place(NOTHING, true)
    taken(first, [record(3)])
    assert.deepEqual(taken(new Place(first.marks, true), [record(6), record(7)]), ['LOST', 'line 6', 'line 7'])
  })
})
