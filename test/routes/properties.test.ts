import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { suite } from 'node:test'
import fc from 'fast-check'
import { type ApiDocument, assertDescribed, operationsOf } from '../support/api-document.ts'
import { type ControlHive, openControl } from '../support/control.ts'
import { within } from '../support/deadline.ts'
import { rawConnect } from '../support/raw-http.ts'

/** A failing run prints its seed and path; put them here to see it again. */
const RUNS = { numRuns: 250, interruptAfterTimeLimit: 15_000 }

const FIELDS = [
  'kind',
  'name',
  'request_id',
  'setup_token',
  'environment',
  'labels',
  'type',
  '__proto__',
  'constructor',
  'x',
]
const HOSTILE = [
  'fake',
  'plain',
  '',
  '..',
  '__proto__',
  '\u0000',
  '\ud800',
  '\u202e',
  'a'.repeat(300),
  '{port}',
  '1e999',
  '-1',
  '\r\nX: y',
  '%zz',
  'running',
  'ready',
  'spawn_cocoon',
]

const text = fc.oneof(fc.constantFrom(...HOSTILE), fc.string(), fc.string({ unit: 'binary' }))
const json = fc.oneof(fc.jsonValue(), text, fc.double(), fc.integer())
const body = fc.oneof(
  json,
  fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), text), json, { maxKeys: 6 }),
  fc.record(
    {
      kind: fc.constantFrom('fake', 'plain'),
      name: text,
      labels: fc.dictionary(text, text),
      environment: fc.dictionary(text, text),
    },
    { requiredKeys: ['kind'] },
  ),
)
const query = fc.dictionary(
  fc.oneof(
    fc.constantFrom(
      'wait',
      'timeout_s',
      'id',
      'volumes',
      'recreate',
      'kind',
      'state',
      'label',
      'limit',
      'cursor',
      'include',
    ),
    text,
  ),
  fc.oneof(
    fc.constantFrom('ready', 'running', 'stopped', 'gone', 'none', '0', '1', '0.01', 'true', 'false', 'removed', 'a=b'),
    text,
  ),
  { maxKeys: 4 },
)
const segment = fc.oneof(fc.constantFrom('it', 'cocoons:it', 'gone', 'fake'), text)

/** What does not wait for longer than a moment. */
function queryText(parameters: Readonly<Record<string, string>>): string {
  const pairs = Object.entries({ ...parameters, ...('wait' in parameters && { timeout_s: '0.01' }) })
  const all = pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`)
  return all.length === 0 ? '' : `?${all.join('&')}`
}

function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed())
}

async function assertAlive(hive: ControlHive): Promise<void> {
  assert.equal((await hive.call('GET', '/livez')).status, 200)
  assert.doesNotMatch(hive.log(), /"level":(?:50|60)/)
}

suite('whatever comes', () => {
  test('A12, A15, A24: any JSON, query and name on any route is answered as described, and never with 5xx', async (t) => {
    const hive = await openControl(t)
    const document: ApiDocument = JSON.parse(
      await readFile(new URL('../../openapi/hive.v1.json', import.meta.url), 'utf8'),
    )
    await hive.spawn({ kind: 'fake', name: 'it' })
    // Neither answers with JSON, and the events never end.
    const operations = operationsOf(document).filter(([, path]) => path !== '/metrics' && path !== '/events')
    const call = fc.record({ operation: fc.constantFrom(...operations), body, query, segment })
    await fc.assert(
      fc.asyncProperty(call, async ({ operation: [method, path], ...given }) => {
        const target = path.replace(/\{\w+\}/, () => encode(given.segment)) + queryText(given.query)
        const sent = method === 'GET' ? undefined : JSON.stringify(given.body)
        const answer = await hive.call(method, target, sent)
        assert.ok(answer.status < 500, `${method} ${target}: ${answer.status} ${answer.text}`)
        // An empty or dotted name makes the address another one.
        if (answer.status === 404 && answer.body.code === 'HIVE_NOT_FOUND') return
        if (answer.status === 405 || answer.status === 414 || answer.status === 415) return
        const contentType = answer.headers.get('content-type') ?? ''
        if (/^application\/(?:problem\+)?json/.test(contentType))
          assertDescribed(document, { method, path, status: answer.status, contentType, body: answer.body })
      }),
      RUNS,
    )
    await assertAlive(hive)
  })

  test('any bytes on the socket are answered or cut, and Hive lives on', async (t) => {
    const hive = await openControl(t)
    const fragment = fc.oneof(
      fc.constantFrom(
        'GET ',
        'POST ',
        'DELETE ',
        '/services',
        '/spawn',
        '/cocoons/it/',
        ' HTTP/1.1\r\n',
        'Host: localhost\r\n',
        `Authorization: Bearer ${hive.token}\r\n`,
        'Content-Length: 5\r\n',
        'Content-Length: -1\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Upgrade: websocket\r\nConnection: upgrade\r\n',
        'Expect: 100-continue\r\n',
        'Content-Type: application/json\r\n',
        '\r\n',
        '\r\n\r\n',
        '{"kind":"fake"}',
        '0\r\n\r\n',
        'ffffffffffffffff\r\n',
        '\x00',
        '\n',
        'http://evil/',
      ),
      fc.string({ unit: 'binary', maxLength: 40 }),
    )
    const bytes = fc.array(fragment, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(''), 'latin1'))
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (sent, abort) => {
        const socket = await rawConnect(t, hive.port)
        let text = ''
        socket.on('data', (chunk) => (text += chunk.toString('latin1')))
        const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
        socket.write(sent)
        if (abort) socket.resetAndDestroy()
        else socket.end()
        await within(closed, 10_000, 'the end of the connection')
        assert.doesNotMatch(text, /HTTP\/1\.1 5(?!05|01|03)\d\d/)
      }),
      RUNS,
    )
    await assertAlive(hive)
    assert.equal((await hive.spawn({ kind: 'fake' })).state, 'running')
  })
})
