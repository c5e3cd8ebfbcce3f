import assert from 'node:assert/strict'
import { appendFile, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { cursorAfter, oldestCursor, readOn } from '../../src/logs/read-log.ts'
import { ServiceLog } from '../../src/logs/service-log.ts'
import type { OutputPiece } from '../../src/runners/driver.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const NOW = '2026-01-01T00:00:00.000Z'
const LIMITS = { segmentBytes: 1000, segments: 3 }

function piece(text: string): OutputPiece {
  return { stream: 'stdout', bytes: Buffer.from(text), partial: false, time: null, lost: null }
}

async function readAll(log: ServiceLog, from = cursorAfter(0)) {
  const lines: { seq: number; line: string }[] = []
  let missed = 0
  for (let cursor = from; ; ) {
    const chunk = await readOn(log, cursor, null)
    if (chunk === null) return { lines, missed }
    lines.push(...chunk.lines.map((text) => JSON.parse(text) as { seq: number; line: string }))
    missed += chunk.missed
    cursor = chunk.cursor
  }
}

test('F62: wherever a crash cuts the file, reading goes on at the last whole batch, with nothing twice or lost', async (t) => {
  const directory = await tempDirectory(t)
  const source = join(directory, 'source')
  const log = await ServiceLog.open(source)
  for (let batch = 1; batch <= 4; batch++)
    await log.append({ pieces: [piece(`${batch}a`), piece(`${batch}b\u2028é`)], position: String(batch) }, NOW)
  await log.close()
  const [name = ''] = await readdir(source)
  const whole = await readFile(join(source, name))
  for (let size = 1; size <= whole.length; size++) {
    await truncate(join(source, name), 0)
    await appendFile(join(source, name), whole.subarray(0, size))
    const again = await ServiceLog.open(source)
    for (let batch = Number(again.position ?? 0) + 1; batch <= 4; batch++)
      await again.append({ pieces: [piece(`${batch}a`), piece(`${batch}b\u2028é`)], position: String(batch) }, NOW)
    await again.close()
    assert.ok((await readFile(join(source, name))).equals(whole), `cut at ${size}`)
  }
})

test('F62: files turn over, the oldest goes, and a reader that stood in it is told how much it missed', async (t) => {
  const directory = await tempDirectory(t)
  const log = await ServiceLog.open(directory, LIMITS)
  const add = async (from: number, to: number) => {
    for (let count = from; count <= to; count++)
      await log.append({ pieces: [piece(`line ${count}`)], position: String(count) }, NOW)
  }
  await add(1, 5)
  const early = await readOn(log, cursorAfter(0), null)
  assert.equal(early?.lines.length, 5)
  await add(6, 100)
  assert.equal((await readdir(directory)).length, 3)
  const { lines, missed } = await readAll(log, early?.cursor)
  assert.ok(missed > 0)
  assert.equal(missed + lines.length, 95)
  assert.deepEqual(
    lines.map(({ seq, line }) => line === `line ${seq}`),
    lines.map(() => true),
  )
  const kept = await readAll(log, await oldestCursor(log))
  assert.equal(kept.missed, 0)
  await log.close()
  const again = await ServiceLog.open(directory, LIMITS)
  assert.deepEqual([again.lastSeq, again.position], [100, '100'])
  await add(101, 101).catch(() => undefined) // the old writer is closed; the new one goes on
  await again.append({ pieces: [piece('line 101')], position: '101' }, NOW)
  await again.close()
})

test('wherever a reader begins in a long file, it hears exactly what comes next', async (t) => {
  const log = await ServiceLog.open(await tempDirectory(t))
  // Among short lines some that are longer than a look: 16 KB of what JSON escapes, and as many bytes without a number.
  const text = (seq: number) => (seq % 1_000 === 0 ? '\u0001'.repeat(16_000) : `line ${'x'.repeat(seq % 300)}`)
  for (let seq = 1; seq <= 10_000; seq += 500) {
    const pieces = Array.from({ length: 500 }, (_none, index) => piece(text(seq + index)))
    await log.append({ pieces, position: 'p'.repeat(seq % 1_000 === 1 ? 100_000 : 10) }, NOW)
  }
  for (let after = 0; after < 10_000; after += 1 + (after % 97)) {
    const [next] = (await readOn(log, cursorAfter(after), null))?.lines ?? []
    const { seq, line } = JSON.parse(next ?? 'null') as { seq: number; line: string }
    assert.deepEqual([seq, line], [after + 1, text(after + 1)])
  }
  const { lines, missed } = await readAll(log, cursorAfter(7_777))
  assert.deepEqual(
    [lines.map(({ seq }) => seq), missed],
    [Array.from({ length: 10_000 - 7_777 }, (_none, index) => 7_778 + index), 0],
  )
  await log.close()
})

test('a file that vanished under its readers ends their reading and nothing else', async (t) => {
  const directory = await tempDirectory(t)
  const log = await ServiceLog.open(directory, LIMITS)
  await log.append({ pieces: [piece('one')], position: '1' }, NOW)
  await rm(directory, { recursive: true })
  assert.equal(await readOn(log, cursorAfter(0), null), null)
  await log.close()
})

test('A37: a line can neither end its record nor begin another', async (t) => {
  const log = await ServiceLog.open(await tempDirectory(t))
  const evil = '\r{"seq":99,"time":"x"}\u001b]0;\u2028{"position":"9"}\u0000'
  await log.append({ pieces: [piece(evil), piece('{"position":"7"}')], position: 'p\n"' }, NOW)
  await log.close()
  const again = await ServiceLog.open(log.directory)
  assert.deepEqual([again.lastSeq, again.position], [2, 'p\n"'])
  const { lines } = await readAll(again)
  assert.deepEqual(
    lines.map(({ line }) => line),
    [evil, '{"position":"7"}'],
  )
})

test('a log that is removed under its writer begins anew, says that lines are lost, and counts on', async (t) => {
  const directory = await tempDirectory(t)
  const path = join(directory, 'log')
  const log = await ServiceLog.open(path)
  const add = (count: number) => log.append({ pieces: [piece(`line ${count}`)], position: String(count) }, NOW)
  await add(1)
  await rm(path, { recursive: true })
  await add(2)
  await add(3)
  const { lines } = await readAll(await ServiceLog.open(path))
  assert.deepEqual(
    lines.map(({ seq, line }) => `${seq} ${line}`),
    ['2 [hive: some output is lost here]', '3 line 2', '4 line 3'],
  )
  // So does the next writer, which has not opened the file yet.
  const next = await ServiceLog.open(path)
  await rm(path, { recursive: true })
  await next.append({ pieces: [piece('line 4')], position: '4' }, NOW)
  assert.deepEqual(
    (await readAll(next, cursorAfter(4))).lines.map(({ seq, line }) => `${seq} ${line}`),
    ['5 [hive: some output is lost here]', '6 line 4'],
  )
  await Promise.all([log.close(), next.close()])
})
