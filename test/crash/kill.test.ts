import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { workersOf } from '../support/crash/live-processes.ts'
import { worldOf } from '../support/crash/world.ts'
import { until } from '../support/deadline.ts'

describe('Hive is killed', () => {
  it('F20: a living script cocoon is the same process afterwards, still served, and its end is known', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    const created = await world.client(first).create('script', 'lives')
    assert.equal(created?.status, 201, created?.text)
    const before = workersOf(world.run)
    await first.end('SIGKILL')
    const second = await world.start()
    const client = world.client(second)
    await world.check(second)
    assert.deepEqual(workersOf(world.run), before)
    await client.visit('lives', 'exit?code=7')
    const ended = await until(
      async () => {
        const reply = await client.show('lives')
        return reply?.body.exit ? reply.body : null
      },
      10_000,
      'the end of the cocoon',
    )
    assert.equal(ended.exit.code, 7)
  })

  it('F21: the exit code of a script that ended meanwhile is reported afterwards', async (t) => {
    const world = await worldOf(t)
    const first = await world.start()
    await world.client(first).create('script', 'ends')
    const [worker] = workersOf(world.run)
    const shown = await world.client(first).show('ends')
    const hostPort = shown?.body.ports[0].host_port
    await first.end('SIGKILL')
    await fetch(`http://127.0.0.1:${hostPort}/exit?code=42`).then((answer) => answer.text())
    await until(() => workersOf(world.run).length === 0, 10_000, 'the end of the worker')
    const second = await world.start()
    const record = await until(
      async () => {
        const reply = await world.client(second).show('ends')
        return reply?.body.exit ? reply.body : null
      },
      10_000,
      'the exit',
    )
    assert.ok(worker)
    assert.deepEqual(
      { ...record.exit, state: record.state },
      { code: 42, signal: null, reason: 'exited', oom: false, state: 'failed' },
    )
    await world.check(second)
  })
})
