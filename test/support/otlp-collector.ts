import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { until } from './deadline.ts'
import { bytesOf, type Fields, numberOf, readMessage, textOf } from './protobuf.ts'

/** A span as it came over the wire; ids in hex, times in epoch milliseconds. */
export interface SeenSpan {
  readonly traceId: string
  readonly spanId: string
  /** `''` = a root. */
  readonly parentId: string
  readonly traceState: string
  readonly name: string
  readonly kind: number
  readonly start: number
  readonly end: number
  readonly attributes: Readonly<Record<string, string | number>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly isError: boolean
  /** The attributes of the process that made it. */
  readonly resource: Readonly<Record<string, string | number>>
}

export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string
  readonly spans: readonly SeenSpan[]
  /** Fields of every export. */
  readonly headers: readonly IncomingMessage['headers'][]
  /** Everything that came, as it came. */
  text(): string
  /** Waits for spans that `wanted` picks, as many as `count`. */
  find(wanted: (span: SeenSpan) => boolean, what: string, count?: number): Promise<readonly SeenSpan[]>
  one(name: string, where?: (span: SeenSpan) => boolean): Promise<SeenSpan>
}

export type CollectorAnswer = (res: ServerResponse, exports: number) => void

const SPAN_MS = 20_000

/** A collector for OTLP over HTTP in protobuf (opentelemetry-proto, trace/v1) that keeps what it is sent. */
export async function startCollector(t: TestContext, answer: CollectorAnswer = accept): Promise<Collector> {
  const spans: SeenSpan[] = []
  const headers: IncomingMessage['headers'][] = []
  const raw: Buffer[] = []
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk)
    const sent = Buffer.concat(chunks)
    const body = req.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
    assert.equal(`${req.method} ${req.url}`, 'POST /v1/traces')
    assert.equal(req.headers['content-type'], 'application/x-protobuf')
    headers.push(req.headers)
    raw.push(body)
    answer(res, headers.length)
    if (res.statusCode === 200 && res.headersSent) spans.push(...readExport(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const find: Collector['find'] = (wanted, what, count = 1) =>
    until(
      () => {
        const found = spans.filter(wanted)
        return found.length >= count ? found : null
      },
      SPAN_MS,
      `${what} among ${spans.map(({ name }) => name).join(', ')}`,
    )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    headers,
    text: () => Buffer.concat(raw).toString('latin1'),
    find,
    async one(name, where = () => true) {
      const [span] = await find((candidate) => candidate.name === name && where(candidate), name)
      assert.ok(span)
      return span
    },
  }
}

function accept(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
}

function readExport(body: Buffer): readonly SeenSpan[] {
  return all(readMessage(body), 1).flatMap((resourceSpans) => {
    const resource = all(resourceSpans, 1).map((message) => attributes(message, 1))[0] ?? {}
    const scopes = all(resourceSpans, 2)
    return scopes.flatMap((scope) => all(scope, 2)).map((span) => readSpan(span, resource))
  })
}

function readSpan(span: Fields, resource: SeenSpan['resource']): SeenSpan {
  return {
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    traceState: textOf(span, 3),
    parentId: hex(span, 4),
    name: textOf(span, 5),
    kind: Number(numberOf(span, 6)),
    start: Number(numberOf(span, 7)) / 1e6,
    end: Number(numberOf(span, 8)) / 1e6,
    attributes: attributes(span, 9),
    links: all(span, 13).map((link) => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
    isError: all(span, 15).some((status) => numberOf(status, 3) === 2n),
    resource,
  }
}

function attributes(message: Fields, field: number): Record<string, string | number> {
  return Object.fromEntries(
    all(message, field).map((pair) => {
      const value = all(pair, 2)[0] ?? new Map()
      return [textOf(pair, 1), value.has(1) ? textOf(value, 1) : Number(numberOf(value, 3))]
    }),
  )
}

function all(message: Fields, field: number): readonly Fields[] {
  return (message.get(field) ?? []).map((value) => readMessage(value as Buffer))
}

function hex(message: Fields, field: number): string {
  return bytesOf(message, field).toString('hex')
}
