import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { HiveEvent } from '../../src/events/event.ts'

export const WEBHOOK_SECRET = 'a secret without blanks'.replaceAll(' ', '-')

export interface WebhookReceiver {
  readonly url: string
  /** What it took, in the order in which it came. */
  readonly taken: HiveEvent[]
  /** What it answers: below 300 = taken. */
  status: number
  asked: number
}

/** A receiver that may refuse; what it took is kept in order, its signature checked. */
export async function startReceiver(t: TestContext): Promise<WebhookReceiver> {
  const receiver = { taken: [] as HiveEvent[], status: 204, asked: 0, url: '' }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      receiver.asked++
      const [, seconds, hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['hive-signature'])) ?? []
      assert.equal(hex, createHmac('sha256', WEBHOOK_SECRET).update(`${seconds}.${body}`).digest('hex'))
      if (receiver.status < 300) receiver.taken.push(JSON.parse(body))
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
