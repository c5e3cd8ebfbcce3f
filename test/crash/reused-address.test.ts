import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RecordingClient, Reply } from '../support/crash/client.ts'
import { notDrawn } from '../support/crash/seed.ts'
import { worldOf } from '../support/crash/world.ts'
import { freePort } from '../support/free-port.ts'

const IMAGE = process.env['HIVE_TEST_IMAGE_HTTPD'] ?? 'localhost/hive-test/httpd:1'
const ENGINES = { docker: process.env['HIVE_TEST_DOCKER_HOST'], podman: process.env['HIVE_TEST_PODMAN_HOST'] }

/** Asks for a cocoon all the time. @returns the function that ends it and gives what was answered since `mark()`. */
function hammer(client: RecordingClient, name: string) {
  const replies: (Reply | null)[] = []
  let isOver = false
  const run = async () => {
    while (!isOver) replies.push(await client.visit(name))
  }
  const done = Promise.all([run(), run()])
  return {
    forget: () => {
      replies.length = 0
    },
    end: async () => {
      isOver = true
      await done
      return replies
    },
  }
}

describe('an address is used by another cocoon afterwards', () => {
  const skipped = notDrawn(1, 2)
  for (const [index, [kind, host]] of Object.entries(ENGINES).entries())
    it(`F39: a fixed port of ${kind}: the old name never leads to the new cocoon`, {
      skip: skipped(index) || (host === undefined && `there is no ${kind}`),
    }, async (t) => {
      const runner_config = { image: IMAGE, ports: [`${await freePort()}:8080`], pull: 'never', stop_grace: '1s' }
      const kinds = [{ id: 'fixed', runner_type: kind, runner_config }]
      const world = await worldOf(t, { engines: { [kind]: host ?? '' }, kinds })
      const hive = await world.start()
      const client = world.client(hive)
      assert.equal((await client.create('fixed', 'old'))?.status, 201)
      const taken = await client.create('fixed', 'early')
      assert.deepEqual([taken?.status, taken?.body.code], [409, 'HIVE_PORT_TAKEN'])
      const old = hammer(client, 'old')
      assert.equal((await client.remove('old'))?.body.state, 'removed')
      old.forget()
      assert.equal((await client.create('fixed', 'new'))?.status, 201)
      for (let n = 0; n < 20; n++) assert.equal((await client.visit('new'))?.status, 200)
      // A request that was on its way while the list was emptied belongs to before.
      const replies = (await old.end()).slice(2)
      assert.ok(replies.length > 0)
      assert.deepEqual([...new Set(replies.map((reply) => reply?.status))], [410])
      await world.check(hive)
    })

  it('F39: a chosen port of a script rests after its cocoon, and its restarts keep it', async (t) => {
    const port = await freePort()
    const world = await worldOf(t, { env: { HIVE_PORT_RANGE: `${port}-${port}` } })
    const hive = await world.start()
    const client = world.client(hive)
    const old = (await client.create('script', 'old'))?.body
    const again = (await client.change('restart', 'old'))?.body
    assert.deepEqual([again.attempt, again.ports], [2, old.ports])
    await world.check(hive)
    assert.equal((await client.remove('old'))?.body.state, 'removed')
    const refused = (await client.create('script', 'new'))?.body
    assert.deepEqual([refused.service?.state, refused.service?.error?.code], ['rejected', 'HIVE_CAPACITY'])
    // Its rest is not forgotten with Hive.
    await hive.end('SIGKILL')
    const next = await world.start()
    const later = (await world.client(next).create('script', 'later'))?.body
    assert.deepEqual([later.service?.state, later.service?.error?.code], ['rejected', 'HIVE_CAPACITY'])
    assert.equal((await world.client(next).visit('old'))?.status, 410)
    await world.check(next)
  })
})
