import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type StreamAnswer, streamAnswer } from '../../src/http/stream-answer.ts'
import { slowText } from '../../src/logs/follow.ts'
import { within } from '../support/deadline.ts'
import { rawConnect, readAll } from '../support/raw-http.ts'

const LINE = `${JSON.stringify({ line: 'x'.repeat(16_000) })}\n`
const STALL_MS = 50

/** Answers every request with lines without end; `pulled` = how many were taken so far. */
async function startEndless(t: TestContext, answer: Partial<StreamAnswer> = {}) {
  const state = { pulled: 0, over: 0 }
  async function* pieces() {
    for (;;) {
      state.pulled++
      yield LINE
    }
  }
  const server = createServer((_request, response) => {
    const headers = { 'content-type': 'application/x-ndjson' }
    const all = { headers, pieces: pieces(), farewell: () => '', stallMs: STALL_MS, ...answer }
    void streamAnswer(response, all).then(() => state.over++)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { state, port: (server.address() as AddressInfo).port }
}

test('F61: a follower that does not read is let go, and the last it gets says where to go on', async (t) => {
  const said = Promise.withResolvers<void>()
  const farewell = () => {
    said.resolve()
    return slowText(41, 'ndjson')
  }
  const { port } = await startEndless(t, { farewell })
  const socket = await rawConnect(t, port)
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await within(said.promise, 20_000, 'its end')
  const all = readAll(socket)
  socket.resume()
  const text = await within(all, 20_000, 'the rest')
  const marker = /\{"seq":41,.*\}$/m.exec(text)?.[0] ?? assert.fail('there is no marker')
  const { seq, stream, line, marker: what } = JSON.parse(marker)
  assert.deepEqual([seq, stream, what], [41, 'stderr', 'slow'])
  assert.match(line, /after=41/)
})

test('F61: for one that never reads again nothing is kept, and its connection is cut', async (t) => {
  const { state, port } = await startEndless(t)
  const socket = await rawConnect(t, port)
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const closed = once(socket, 'close')
  await within(
    (async () => {
      while (state.over === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    })(),
    20_000,
    'its end',
  )
  const { pulled } = state
  // What the kernel holds of it is read before the end is seen.
  socket.resume()
  await within(closed, 20_000, 'the cut')
  assert.equal(state.pulled, pulled, 'nothing more was taken for it')
})
