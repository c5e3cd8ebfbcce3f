import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { readLogFiles } from '../../src/runners/container/file-logs.ts'
import { FORMATS } from '../../src/runners/container/log-formats.ts'
import type { OutputBatch } from '../../src/runners/driver.ts'
import { until } from '../support/deadline.ts'

type Engine = 'docker' | 'podman'

const stamp = (at: number): string => `2026-01-01T00:00:00.${String(at).padStart(9, '0')}Z`
const LINE: Readonly<Record<Engine, (at: number) => string>> = {
  docker: (at) => `${JSON.stringify({ log: `line ${at}\n`, stream: 'stdout', time: stamp(at) })}\n`,
  podman: (at) => `${stamp(at)} stdout F line ${at}\n`,
}

/** A log as the engine keeps it, and what a reader makes of it. */
async function openLog(t: TestContext, engine: Engine) {
  const directory = await mkdtemp(join(tmpdir(), 'hive-log-files-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'log')
  let last = 0
  const write = async (lines: number): Promise<void> => {
    const from = last + 1
    last += lines
    await appendFile(path, Array.from({ length: lines }, (_, index) => LINE[engine](from + index)).join(''))
  }
  const turnOver = async (): Promise<void> => {
    if (engine === 'docker') {
      await rename(`${path}.1`, `${path}.2`).catch(() => undefined)
      await rename(path, `${path}.1`)
    }
    await writeFile(`${path}.tmp`, LINE[engine](++last))
    await rename(`${path}.tmp`, path)
  }
  const source = { container: 'c', path, format: FORMATS[engine] }
  const read = (position: string | null, follow: boolean, signal: AbortSignal) =>
    readLogFiles(source, { place: position === null ? null : JSON.parse(position), follow }, signal)
  return { path, write, turnOver, read }
}

const textOf = ({ pieces }: OutputBatch): string[] =>
  pieces.map(({ bytes, lost }) => (lost === null ? String(bytes) : 'LOST'))
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `line ${from + at}`)

type Log = Awaited<ReturnType<typeof openLog>>

/** Everything that is there after a position. */
async function rest(log: Log, position: string | null): Promise<{ lines: string[]; position: string | null }> {
  const lines: string[] = []
  let at = position
  for await (const batch of (await log.read(position, false, new AbortController().signal)) ?? []) {
    lines.push(...textOf(batch))
    at = batch.position
  }
  return { lines, position: at }
}

/** A reader that follows, and what it has so far. */
function follower(t: TestContext, log: Log) {
  const over = new AbortController()
  const lines: string[] = []
  const done = (async () => {
    for await (const batch of (await log.read(null, true, over.signal)) ?? []) lines.push(...textOf(batch))
  })().catch(() => undefined)
  t.after(() => done)
  t.after(() => over.abort())
  return lines
}

for (const engine of ['docker', 'podman'] as const)
  describe(`the log files of ${engine}`, () => {
    it('F62: are followed over turn-overs, each line once and in order', async (t) => {
      const log = await openLog(t, engine)
      await log.write(3)
      const lines = follower(t, log)
      for (let turn = 1; turn <= 5; turn++) {
        await log.write(2)
        await log.turnOver()
        await until(() => lines.at(-1) === `line ${3 + 3 * turn}`, 10_000, `turn-over ${turn} is read`)
      }
      assert.deepEqual(lines, numbers(1, 18))
    })

    it('F62: are gone on with by another process, in the middle of a file', async (t) => {
      const log = await openLog(t, engine)
      await log.write(3)
      const first = await rest(log, null)
      await log.write(2)
      const second = await rest(log, first.position)
      assert.deepEqual([...first.lines, ...second.lines], numbers(1, 5))
      assert.deepEqual((await rest(log, second.position)).lines, [])
    })

    it('F62: that were dropped unread leave a mark', async (t) => {
      const log = await openLog(t, engine)
      await log.write(2)
      const { position } = await rest(log, null)
      for (let turn = 0; turn < 3; turn++) await log.turnOver()
      const kept = engine === 'docker' ? numbers(3, 5) : numbers(5, 5)
      assert.deepEqual((await rest(log, position)).lines, ['LOST', ...kept])
    })

    it('that somebody has emptied begin again, with a mark', async (t) => {
      const log = await openLog(t, engine)
      await log.write(3)
      const lines = follower(t, log)
      await until(() => lines.length === 3, 10_000, 'it is read')
      await truncate(log.path, 0)
      await log.write(1)
      await until(() => lines.length === 5, 10_000, 'the new line is read')
      assert.deepEqual(lines, [...numbers(1, 3), 'LOST', 'line 4'])
    })

    it('with a torn line go on after it, with a mark', async (t) => {
      const log = await openLog(t, engine)
      await log.write(1)
      await appendFile(log.path, '\0\0\0\n')
      await log.write(1)
      assert.deepEqual((await rest(log, null)).lines, ['line 1', 'LOST', 'line 2'])
    })
  })

describe('the one log file of podman', () => {
  it('F62: that turns over while a reader begins is no loss, whatever the moment', async (t) => {
    for (let turns = 0; turns < 60; turns++) {
      const log = await openLog(t, 'podman')
      await log.write(1)
      const lines = follower(t, log)
      for (let turn = 0; turn < turns; turn++) await nextTurn()
      writeFileSync(`${log.path}.tmp`, LINE.podman(2))
      renameSync(`${log.path}.tmp`, log.path)
      await until(() => lines.at(-1) === 'line 2', 10_000, 'the newer file is read')
      assert.ok(!lines.includes('LOST'), `after ${turns} turns of the event loop: ${lines}`)
    }
  })

  it('F62: that came and went while nobody looked leaves a mark for those who follow, too', async (t) => {
    const log = await openLog(t, 'podman')
    await log.write(1)
    const lines = follower(t, log)
    await until(() => lines.length === 1, 10_000, 'it is read')
    // A reader that is held up: nothing of this process runs in between.
    for (const at of [2, 3]) {
      writeFileSync(`${log.path}.tmp`, LINE.podman(at))
      renameSync(`${log.path}.tmp`, log.path)
    }
    await until(() => lines.at(-1) === 'line 3', 10_000, 'the newest is read')
    assert.deepEqual(lines, ['line 1', 'LOST', 'line 3'])
  })
})
