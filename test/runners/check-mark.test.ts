import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { CheckMark } from '../../src/runners/check-mark.ts'
import { isAlive, readProc, readStat } from '../../src/runners/script/identity.ts'
import { until } from '../support/deadline.ts'

/** A process that runs with the mark in its environment. */
async function marked(t: TestContext, { variable: [name, value] }: CheckMark) {
  const child = spawn('sleep', ['600'], { env: { [name]: value }, stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  const pid = child.pid ?? assert.fail()
  await until(() => readProc(pid, 'environ')?.includes(value) ?? false, 5_000, 'its own environment')
  const process = readStat(pid) ?? assert.fail()
  return { pid, isLeft: () => isAlive(process) }
}

describe('what a command inside a cocoon leaves running', () => {
  it('is ended with the command, and so is what nobody waits for any more; nothing else is', async (t) => {
    const [mine, other, given, inner] = [
      new CheckMark('a'),
      new CheckMark('a'),
      new CheckMark('a'),
      new CheckMark('a-in-a'),
    ]
    given.end(() => [])
    const processes = [
      await marked(t, mine),
      await marked(t, other),
      await marked(t, given),
      await marked(t, inner),
    ] as const
    const members = () => processes.map(({ pid }) => pid)
    inner.end(() => [])
    mine.end(members)
    await until(() => !processes[0].isLeft() && !processes[2].isLeft(), 5_000, 'their end')
    assert.deepEqual(
      processes.map(({ isLeft }) => isLeft()),
      [false, true, false, true],
    )
    other.end(members)
    await until(() => !processes[1].isLeft(), 5_000, 'its end')
  })

  it('is not looked for among the processes of others', async (t) => {
    const mark = new CheckMark('b')
    const { isLeft } = await marked(t, mark)
    mark.end(() => [process.pid])
    assert.equal(isLeft(), true)
  })
})
