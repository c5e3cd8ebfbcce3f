import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'

/** A request as the stub saw it. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

export interface StubAnswer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** `drop` = the request arrived and the connection breaks before any answer. */
export type StubHandler = (seen: Seen) => StubAnswer | 'drop' | Promise<StubAnswer | 'drop'>

export interface StubHive {
  readonly url: string
  readonly seen: readonly Seen[]
}

/** An HTTP server on loopback that answers as the handler says; it ends with the test. */
export async function startStubHive(t: TestContext, handler: StubHandler): Promise<StubHive> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    void answer(request, response, async (next) => {
      seen.push(next)
      return handler(next)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

async function answer(request: IncomingMessage, response: ServerResponse, handler: StubHandler): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const url = new URL(request.url ?? '/', 'http://stub')
  const result = await handler({
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    authorization: request.headers.authorization,
    body: chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString()),
  })
  if (result === 'drop') {
    request.socket.destroy()
    return
  }
  const type = result.status >= 400 ? 'application/problem+json' : 'application/json'
  response.writeHead(result.status, { 'content-type': type, ...result.headers })
  response.end(typeof result.body === 'string' ? result.body : JSON.stringify(result.body))
}

/** A problem document as Hive sends it. */
export function problem(status: number, code: string, extra: Readonly<Record<string, unknown>> = {}): StubAnswer {
  const type = `urn:hive:problem:${code}`
  return { status, body: { type, title: `title of ${code}`, status, detail: `detail of ${code}`, code, ...extra } }
}

/** A whole record with something in every place that the command line reads. */
export function record(overrides: Partial<ServiceRecord> = {}): ServiceRecord {
  const name = overrides.name ?? 'cocoon-abc123'
  const blank: ServiceRecord = {
    id: `id-of-${name}`,
    fqn: `cocoons:${name}`,
    name,
    kind: 'native',
    runner: 'script',
    state: 'running',
    desired: 'running',
    health: 'none',
    ready: true,
    attempt: 1,
    restarts: 0,
    pid: 12345,
    container_id: null,
    image: null,
    url: `http://127.0.0.1:8020/cocoons/${name}/`,
    origin_url: `http://${name}.localhost:8020/`,
    ports: [{ port: 20001, host: '127.0.0.1', host_port: 20001, protocol: 'tcp' }],
    labels: {},
    request_id: 'req-1',
    created_at: '2026-01-01T00:00:00.000Z',
    started_at: '2026-01-01T00:00:01.000Z',
    ready_at: '2026-01-01T00:00:02.000Z',
    ended_at: null,
    expires_at: null,
    idle_at: null,
    observed_at: null,
    exit: null,
    error: null,
    next_attempt_at: null,
    progress: null,
    timings: { queued_ms: 1, pull_ms: null, create_ms: null, start_ms: 20, ready_ms: 300 },
    revision: 3,
  }
  return { ...blank, ...overrides }
}
