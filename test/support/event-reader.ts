import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import type { HiveEvent } from '../../src/events/event.ts'
import type { TestHive } from './hive.ts'

interface Sse {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

/** Reads events until told to stop; what came so far can be looked at meanwhile. */
export function listen(t: TestContext, hive: TestHive, query = '', headers: Record<string, string> = {}) {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const got: Sse[] = []
  const done = (async () => {
    // Without an agent: an aborted fetch opens a spare connection, which would hold up the end of Hive.
    const request = get(`${hive.url}/events${query}`, {
      agent: false,
      headers: { authorization: `Bearer ${hive.token}`, ...headers },
      signal: stop.signal,
    })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    assert.match(answer.headers['content-type'] ?? '', /^text\/event-stream/)
    let rest = ''
    for await (const chunk of answer.setEncoding('utf8')) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
        got.push({ id: field('id'), event: field('event'), data: field('data') ?? '' })
      }
    }
  })().catch(() => undefined)
  const events = () => got.filter(({ data }) => data !== '').map(({ data }) => JSON.parse(data) as HiveEvent)
  return { got, events, stop: () => stop.abort(), done }
}
