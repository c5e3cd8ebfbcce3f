import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'

export interface FakeRegistry {
  /** `127.0.0.1:<port>` */
  readonly address: string
  /** Resolves with the first request that is not `/v2/`. */
  readonly asked: Promise<IncomingMessage>
  /** Requests that are neither answered nor given up. */
  readonly pending: Set<IncomingMessage>
}

/** A registry that says yes to `/v2/`, and to everything else what it is told. Ended after the test. */
export async function openFakeRegistry(
  t: TestContext,
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): Promise<FakeRegistry> {
  const pending = new Set<IncomingMessage>()
  const { promise: asked, resolve } = Promise.withResolvers<IncomingMessage>()
  const server = createServer((request, response) => {
    if (request.url === '/v2/') {
      response.writeHead(200).end()
      return
    }
    pending.add(request)
    response.on('close', () => pending.delete(request)).on('error', () => {})
    resolve(request)
    answer(response, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return { address: `127.0.0.1:${address.port}`, asked, pending }
}
