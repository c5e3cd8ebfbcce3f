import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../support/deadline.ts'
import { openHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'
import { complaintsAbout } from '../support/settings.ts'
import { startReceiver, WEBHOOK_SECRET } from '../support/webhook-receiver.ts'

const KINDS = [{ id: 'good', runner_type: 'script', runner_config: { command: 'sh', args: ['-c', 'exec sleep 1000'] } }]

test('each event is posted once, in order and signed, over refusals and a restart of Hive', async (t) => {
  const receiver = await startReceiver(t)
  const env = { HIVE_WEBHOOK_URL: receiver.url, HIVE_WEBHOOK_SECRET: WEBHOOK_SECRET, HIVE_PORT_RANGE: ownPortRange() }
  const first = await openHive(t, { kinds: KINDS, env })
  await first.spawn({ kind: 'good', name: 'one' })
  await until(() => receiver.taken.some(({ data }) => data['state'] === 'running'), 20_000, 'running')
  receiver.status = 503
  const before = receiver.asked
  await first.spawn({ kind: 'good', name: 'two' })
  await until(() => receiver.asked > before, 20_000, 'a refusal')
  await first.close()
  receiver.status = 204
  const second = await openHive(t, { kinds: KINDS, env, directory: first.directory })
  const running = () => receiver.taken.filter(({ data }) => data['state'] === 'running').length
  await until(() => running() === 2, 20_000, 'what was refused')
  const all = (await second.app.events.after(0)).events.map(({ seq }) => seq)
  const taken = receiver.taken.map(({ seq }) => seq)
  assert.deepEqual(taken, all.slice(all.indexOf(taken[0] ?? 0), all.indexOf(taken[0] ?? 0) + taken.length))
  assert.equal(first.log().includes(WEBHOOK_SECRET), false)
})

test('an address without a secret, or with a user name, is refused at the start', () => {
  assert.match(complaintsAbout({ HIVE_WEBHOOK_URL: 'http://x/' }).join(), /HIVE_WEBHOOK_SECRET/)
  assert.match(
    complaintsAbout({ HIVE_WEBHOOK_URL: 'http://me:pw@x/', HIVE_WEBHOOK_SECRET: WEBHOOK_SECRET }).join(),
    /HIVE_WEBHOOK_URL/,
  )
})
