import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { within } from './deadline.ts'
import { type FakeOptions, FakeRunner } from './fake-driver.ts'
import { type HiveOptions, openHive, type TestHive } from './hive.ts'
import { rawConnect, readAll } from './raw-http.ts'

export interface RawAnswer {
  readonly status: number
  /** Field names in lower case; of a repeated one the last. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export interface ControlHive extends TestHive {
  readonly runner: FakeRunner
  /** Sends a head line and fields as they are, each character one byte, and gives the answer. */
  raw(line: string, fields?: readonly string[], body?: string): Promise<RawAnswer>
  /** `Authorization: Bearer <token>` */
  readonly bearer: string
}

const ANSWER_MS = 10_000

/** Kind `fake` accepts every name that a request may set at all; `plain` only OK_*. */
export const FAKE_KINDS = [
  { id: 'fake', runner_type: 'script', runner_config: { command: 'x', accept_environment: ['*'] } },
  {
    id: 'plain',
    runner_type: 'script',
    runner_config: { command: 'x', environment: { FIXED: 'value' }, accept_environment: ['OK_*'] },
  },
]

/** A whole Hive whose cocoons are made up: what is looked at is the control API. */
export async function openControl(
  t: TestContext,
  options: Omit<HiveOptions, 'drivers'> = {},
  fake: FakeOptions = {},
): Promise<ControlHive> {
  const runner = new FakeRunner({ type: 'script', ...fake })
  t.after(() => runner.close())
  const hive = await openHive(t, { kinds: FAKE_KINDS, ...options, drivers: [runner.driver()] })
  const raw: ControlHive['raw'] = (line, fields = [], body = '') =>
    sendRaw(t, hive.port, [line, ...fields, 'Connection: close', '', body].join('\r\n'))
  return { ...hive, runner, raw, bearer: `Authorization: Bearer ${hive.token}` }
}

/** Sends bytes and reads until the peer closes. */
export async function sendRaw(t: TestContext, port: number, bytes: string): Promise<RawAnswer> {
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write(Buffer.from(bytes, 'latin1'))
  return parse(await within(all, ANSWER_MS, 'the answer'))
}

/**
 * Holds an answer against RFC 9457 and the rules of this API: media type, members, and no long echo of what was sent.
 * @param echo  A text of the request that must not come back whole.
 */
export function assertProblem(answer: RawAnswer, status: number, code: string, echo?: string): void {
  assert.equal(answer.status, status, answer.text.slice(0, 500))
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/)
  assert.equal(answer.headers['x-content-type-options'], 'nosniff')
  assert.equal(answer.headers['cache-control'], 'no-store')
  const { body } = answer
  assert.equal(body.code, code)
  assert.equal(body.status, status)
  assert.equal(body.type, `urn:hive:problem:${code}`)
  for (const member of ['title', 'detail', 'instance']) assert.equal(typeof body[member], 'string', member)
  if (echo !== undefined && echo.length > 200) assert.ok(!answer.text.includes(echo.slice(0, 200)), 'no long echo')
}

function parse(text: string): RawAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...fields] = head.split('\r\n')
  const headers = fields.map((field) => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
  })
  const named = Object.fromEntries(headers)
  const raw = rest.join('\r\n\r\n')
  const payload = named['transfer-encoding'] === 'chunked' ? unchunk(raw) : raw
  const isJson = /json/.test(named['content-type'] ?? '') && payload !== ''
  return {
    status: Number(line.split(' ')[1] ?? 0),
    headers: named,
    text: payload,
    body: isJson ? JSON.parse(Buffer.from(payload, 'latin1').toString('utf8')) : null,
  }
}

function unchunk(text: string): string {
  const size = Number.parseInt(text, 16)
  if (!size) return ''
  const start = text.indexOf('\r\n') + 2
  return text.slice(start, start + size) + unchunk(text.slice(start + size + 2))
}
