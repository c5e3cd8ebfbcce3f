import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { within } from '../support/deadline.ts'
import { startProxyApp, type TestRoutes } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer, rawBackend } from '../support/raw-http.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** When the cocoon breaks the connection of a request, counted from 1. */
const BREAKS: Readonly<Record<string, (socket: Socket) => void>> = {
  'reset before an answer': (socket) => socket.resetAndDestroy(),
  'closed before an answer': (socket) => socket.end(),
  'reset in the middle of the head': (socket) => socket.write('HTTP/1.1 200 O', () => socket.resetAndDestroy()),
  'closed in the middle of the body': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
}

for (const [title, breakOff] of Object.entries(BREAKS)) {
  test(`F47: ${title}, on a new connection and on a kept one: no request is delivered twice`, async (t) => {
    const { routes, port } = await startProxyApp(t)
    const delivered: string[] = []
    const backend = await rawBackend(t, (socket) => {
      socket.on('data', (bytes) => {
        for (const [, line = ''] of bytes.toString('latin1').matchAll(/^([A-Z]+ \/\S*) HTTP/gm)) {
          delivered.push(line)
          if (line.endsWith('/ok')) socket.write(OK)
          else breakOff(socket)
        }
      })
    })
    routes.open('demo', backend.port)
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'POST'])
      for (const kept of [false, true]) {
        // A connection that served one request waits in the pool for the next.
        if (kept) assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/ok'))).status, 200)
        const target = `/breaks-${kept}`
        const body = method === 'POST' ? ['Content-Length: 0'] : []
        const bytes = get(`/cocoons/demo${target}`, ...body).replace('GET', method)
        const answer = await within(exchangeRaw(t, port, bytes), 10_000, 'the answer')
        const { status } = parseAnswer(answer)
        if (!title.includes('body')) assert.equal(status, 502, `${method} ${answer}`)
        assert.equal(delivered.filter((line) => line === `${method} ${target}`).length, 1, method)
      }
  })
}

/** Answers every request in two pieces, the second a little later, with the number of its attempt. */
async function startAttempt(t: TestContext, routes: TestRoutes, attempt: number) {
  const body = `attempt ${attempt}.`
  const backend = await rawBackend(t, (socket) => {
    socket.on('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 4)}`)
      setTimeout(() => socket.write(body.slice(4)), 2)
    })
  })
  return routes.open('demo', backend.port, { attempt })
}

test('F53 I6: while attempts follow each other no answer comes from an older one than was current', async (t) => {
  const { routes, port } = await startProxyApp(t)
  let route = await startAttempt(t, routes, 1)
  let over = false
  let whole = 0
  const ask = async () => {
    while (!over) {
      const oldest = route.attempt
      const text = await exchangeRaw(t, port, get('/cocoons/demo/'))
      const answered = /attempt (\d+)\.$/.exec(text)?.[1]
      if (answered === undefined) {
        // Cut off with its attempt, or between two: never the beginning of one with the end of another.
        assert.match(text, /^HTTP\/1.1 (?:410|502|503|200 [\s\S]*\r\n\r\n(?:atte(?:mpt \d*)?)?$)/)
        continue
      }
      whole += 1
      const [least, most] = [oldest, route.attempt]
      assert.ok(Number(answered) >= least && Number(answered) <= most, `${answered} of ${least} to ${most}`)
    }
  }
  const clients = Array.from({ length: 6 }, ask)
  for (let attempt = 2; attempt <= 15; attempt += 1) {
    const enough = whole + 5
    while (whole < enough) await new Promise((resolve) => setImmediate(resolve))
    const ended = route
    routes.set('demo', { answer: 'waiting', retryAfterS: 1, state: 'starting' })
    routes.close(ended)
    route = await startAttempt(t, routes, attempt)
  }
  routes.set('demo', { answer: 'removed' })
  routes.close(route)
  assert.equal(parseAnswer(await exchangeRaw(t, port, get('/cocoons/demo/'))).status, 410)
  over = true
  await within(Promise.all(clients), 10_000, 'the clients')
})
