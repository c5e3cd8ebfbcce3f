import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fillDisk, noSmallDisk, smallDisk } from '../support/crash/small-disk.ts'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'

/** What becomes of Hive when nobody takes its log. Its own directory is elsewhere, and well. */

const BIN = new URL('../../bin/hive.js', import.meta.url).pathname
const TOKEN = 'token-of-this-test'
const KINDS = '[{"id":"fails","runner_type":"script","runner_config":{"command":"false","restart":"never"}}]'

interface Loud {
  readonly child: ChildProcess
  call(method: string, path: string, body?: unknown): Promise<number>
  /** Spawns so many cocoons that end at once: some log lines each. */
  makeNoise(times: number): Promise<void>
  term(): Promise<unknown>
}

async function loudHive(t: TestContext, stdout: number | 'pipe'): Promise<Loud> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-loud-'))
  const port = await freePort()
  const env = { HIVE_STATE_DIR: directory, HIVE_PORT: String(port), HIVE_TOKEN: TOKEN, COCOON_KINDS: KINDS }
  const child = spawn(process.execPath, [BIN, 'serve'], {
    env: { PATH: process.env['PATH'], ...env, HIVE_LOG_LEVEL: 'trace' },
    stdio: ['ignore', stdout, 'ignore'],
  })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
    await rm(directory, { recursive: true, force: true })
  })
  const call: Loud['call'] = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    })
    await answer.arrayBuffer()
    return answer.status
  }
  await until(() => call('GET', '/livez').catch(() => 0), 30_000, 'the start')
  return {
    child,
    call,
    async makeNoise(times) {
      for (let n = 0; n < times; n++) assert.equal(await call('POST', '/spawn', { kind: 'fails' }), 202)
    },
    term: () => {
      child.kill('SIGTERM')
      return within(ended, 20_000, 'the end')
    },
  }
}

describe('the log of Hive itself', () => {
  it('F9: to a file on a full disk: Hive serves on, and says how much was lost', { skip: noSmallDisk() }, async (t) => {
    const disk = await smallDisk(t, 1)
    const file = join(disk, 'hive.log')
    const fd = openSync(file, 'a')
    const hive = await loudHive(t, fd)
    closeSync(fd)
    const giveBack = await fillDisk(disk)
    await hive.makeNoise(8)
    assert.equal(await hive.call('GET', '/livez'), 200)
    await giveBack()
    assert.deepEqual(await hive.term(), [0, null])
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), line)
    assert.match(lines.at(-1) ?? '', /"Hive has stopped"\}$/)
  })

  it('F9: to a pipe that nobody reads: Hive serves on, and what it kept comes once somebody reads', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'hive-pipe-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const path = join(directory, 'pipe')
    execFileSync('mkfifo', [path])
    const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    t.after(() => closeSync(pipe))
    stuff(pipe)
    const writer = openSync(path, 'w')
    const hive = await loudHive(t, writer)
    closeSync(writer)
    await hive.makeNoise(3)
    assert.equal(await hive.call('GET', '/livez'), 200)
    let text = ''
    const readOn = () => {
      text += drain(pipe)
      return text.includes('"Hive is listening"')
    }
    await until(readOn, 15_000, 'what was kept')
    assert.deepEqual(await hive.term(), [0, null])
    assert.match(text + drain(pipe), /"Hive has stopped"\}\n$/)
  })

  it('F9: to a pipe that is closed, as by `| head -1`: Hive serves on without a log', async (t) => {
    const hive = await loudHive(t, 'pipe')
    hive.child.stdout?.destroy()
    await hive.makeNoise(3)
    assert.equal(await hive.call('GET', '/livez'), 200)
    assert.deepEqual(await hive.term(), [0, null])
  })
})

/** Fills a pipe, so that the next one that writes into it would have to wait. */
function stuff(pipe: number): void {
  for (const size of [4096, 1])
    try {
      for (;;) writeSync(pipe, Buffer.alloc(size, '\n'))
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
    }
}

function drain(pipe: number): string {
  const chunk = Buffer.alloc(65_536)
  try {
    return chunk.subarray(0, readSync(pipe, chunk)).toString()
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
    return ''
  }
}
