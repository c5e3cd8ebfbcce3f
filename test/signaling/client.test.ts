import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { SignalingClient } from '../../src/signaling/client.ts'
import type { Outbox } from '../../src/signaling/outbox.ts'
import { TIMINGS } from '../../src/signaling/timings.ts'
import { until } from '../support/deadline.ts'
import { confirm, openRawServer } from '../support/signaling.ts'

const OUTBOX = { attach() {}, detach() {} } as unknown as Outbox

/** A client with its waits as logged; `random` at its upper end. */
function openClient(url: string, timings: Partial<typeof TIMINGS>) {
  const waits: number[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      const { retry_ms } = JSON.parse(String(chunk)) as { retry_ms?: number }
      if (retry_ms !== undefined) waits.push(retry_ms)
      done()
    },
  })
  const client = new SignalingClient({
    url,
    generation: 1,
    hiveId: 'h',
    registration: () => ({ hive_id: 'h' }),
    onMessage: () => {},
    onState: () => {},
    outbox: OUTBOX,
    timings: { ...TIMINGS, retryFirstMs: 1, retryMostMs: 8, ...timings },
    random: () => 1,
    log: pino({}, sink),
  })
  return { client, waits }
}

test('issue 5.3: waits grow by doubling up to their limit', async (t) => {
  const { client, waits } = openClient('ws://127.0.0.1:1/ws', {})
  t.after(() => client.close())
  client.start()
  await until(() => waits.length >= 6, 10_000, 'six waits')
  assert.deepEqual(waits.slice(0, 6), [1, 2, 4, 8, 8, 8])
})

test('issue 5.3: a registration that did not hold does not make the waits short again, one that did does', async (t) => {
  const server = await openRawServer(t, (message, client) => {
    confirm(message, client)
    client.close()
  })
  const brief = openClient(server.url, {})
  t.after(() => brief.client.close())
  brief.client.start()
  await until(() => brief.waits.length >= 5, 10_000, 'five waits')
  assert.deepEqual(brief.waits.slice(0, 5), [1, 2, 4, 8, 8])
  const long = openClient(server.url, { stableMs: 0 })
  t.after(() => long.client.close())
  long.client.start()
  await until(() => long.waits.length >= 4, 10_000, 'four waits')
  assert.deepEqual(long.waits.slice(0, 4), [1, 1, 1, 1])
})
