import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { openControl } from '../support/control.ts'

suite('GET /kinds', () => {
  test('lists every kind in the order of COCOON_KINDS, the four fields of a kind and what its runner says', async (t) => {
    const hive = await openControl(t, {}, {})
    const { status, body } = await hive.call('GET', '/kinds')
    assert.equal(status, 200)
    assert.deepEqual(
      body.kinds.map(({ id }: { id: string }) => id),
      ['fake', 'plain'],
    )
    assert.deepEqual(body.kinds[1], {
      id: 'plain',
      runner_type: 'script',
      runner_config: { command: 'x', environment: { FIXED: '[redacted]' }, accept_environment: ['OK_*'] },
      image: '',
      available: true,
      reason: null,
      isolated: true,
      containment: 'fake',
    })
    assert.deepEqual((await hive.call('GET', '/kinds/plain')).body, body.kinds[1])
    assert.equal((await hive.call('GET', '/kinds/PLAIN')).status, 404)
  })

  test('says of a kind whose runner is down that it is not available, and why', async (t) => {
    const hive = await openControl(t)
    hive.runner.unreachable = true
    await hive.app.runners.refresh()
    const { body } = await hive.call('GET', '/kinds/fake')
    hive.runner.unreachable = false
    assert.deepEqual([body.available, body.reason], [false, 'The fake engine is down'])
  })

  test('is empty for COCOON_KINDS=[]', async (t) => {
    const hive = await openControl(t, { kinds: '[]' })
    assert.deepEqual((await hive.call('GET', '/kinds')).body, { kinds: [] })
  })
})

suite('health', () => {
  test('/livez is alive whatever the runners do; /readyz is 503 while a runner that a kind uses is away', async (t) => {
    const hive = await openControl(t)
    assert.deepEqual((await hive.call('GET', '/readyz')).body, {
      status: 'ready',
      table: true,
      signaling: { state: 'off', generation: null, since: null, pending: 0, unsent: 0 },
      runners: [{ runner: 'script', available: true, reason: null, needed: true }],
    })
    hive.runner.unreachable = true
    await hive.app.runners.refresh()
    const { status, body } = await hive.call('GET', '/readyz')
    assert.deepEqual([status, body.status, body.runners[0].reason], [503, 'not_ready', 'The fake engine is down'])
    assert.equal((await hive.call('GET', '/livez')).status, 200)
    hive.runner.unreachable = false
  })

  test('/readyz is ready while a runner that no kind uses is away', async (t) => {
    const hive = await openControl(t, { kinds: '[]' })
    hive.runner.unreachable = true
    await hive.app.runners.refresh()
    const { status, body } = await hive.call('GET', '/readyz')
    hive.runner.unreachable = false
    assert.deepEqual([status, body.runners[0].needed], [200, false])
  })
})
