import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { openHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'
import { complaintsAbout } from '../support/settings.ts'

const SECRET = 'a secret without blanks'.replaceAll(' ', '-')
const KINDS = [{ id: 'good', runner_type: 'script', runner_config: { command: 'sh', args: ['-c', 'exec sleep 1000'] } }]

/** A receiver that may refuse; what it took is kept in order, its signature checked. */
async function startReceiver(t: TestContext) {
  const taken: { seq: number; type: string; data: Record<string, unknown> }[] = []
  const receiver = { taken, status: 204, asked: 0, url: '' }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      receiver.asked++
      const [, seconds, hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['hive-signature'])) ?? []
      assert.equal(hex, createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex'))
      if (receiver.status < 300) taken.push(JSON.parse(body))
      response.writeHead(receiver.status).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return receiver
}

test('each event is posted once, in order and signed, over refusals and a restart of Hive', async (t) => {
  const receiver = await startReceiver(t)
  const env = { HIVE_WEBHOOK_URL: receiver.url, HIVE_WEBHOOK_SECRET: SECRET, HIVE_PORT_RANGE: ownPortRange() }
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
  assert.equal(first.log().includes(SECRET), false)
})

test('an address without a secret, or with a user name, is refused at the start', () => {
  assert.match(complaintsAbout({ HIVE_WEBHOOK_URL: 'http://x/' }).join(), /HIVE_WEBHOOK_SECRET/)
  assert.match(
    complaintsAbout({ HIVE_WEBHOOK_URL: 'http://me:pw@x/', HIVE_WEBHOOK_SECRET: SECRET }).join(),
    /HIVE_WEBHOOK_URL/,
  )
})
