import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fastify from 'fastify'
import hostGuard from '../../plugins/host-guard.ts'
import problemDetails from '../../plugins/problem-details.ts'
import { assertProblem, type ControlHive, openControl, sendRaw } from '../support/control.ts'
import { until } from '../support/deadline.ts'
import { rawConnect, readAll } from '../support/raw-http.ts'
import { configOf } from '../support/settings.ts'

const HOST = 'Host: localhost'

/** Posts latin1 text, each character one byte. */
function post(
  hive: ControlHive,
  body: string,
  fields: readonly string[] = ['Content-Type: application/json'],
  path = '/spawn',
) {
  return hive.raw(`POST ${path} HTTP/1.1`, [HOST, hive.bearer, `Content-Length: ${body.length}`, ...fields], body)
}

async function nothingMade(hive: ControlHive): Promise<void> {
  assert.deepEqual((await hive.call('GET', '/services?include=removed')).body.services, [])
}

suite('bodies of the control API', () => {
  test('A10: prototype keys are refused at any depth and in any spelling, and pollute nothing', async (t) => {
    const hive = await openControl(t)
    const bodies = [
      '{"__proto__":{"polluted":1},"kind":"fake"}',
      '{"kind":"fake","__proto__":null}',
      '{"kind":"fake","constructor":{"prototype":{"polluted":1}}}',
      '{"kind":"fake","labels":{"__proto__":{"polluted":1}}}',
      '{"kind":"fake","labels":{"__proto__":"x"}}',
      '{"kind":"fake","environment":{"__proto__":"x"}}',
      '{"kind":"fake","labels":{"constructor":{"prototype":1}}}',
      '{"kind":"fake","labels":{"\\u005f_proto__":"x"}}',
      '{"kind":"fake","x":[{"y":{"__proto__":{"polluted":1}}}]}',
      '[{"__proto__":{"polluted":1}}]',
    ]
    for (const body of bodies) assertProblem(await post(hive, body), 400, 'HIVE_REQUEST_INVALID')
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    await nothingMade(hive)
  })

  test('A10: a label may be called like a member of Object.prototype and is only that', async (t) => {
    const hive = await openControl(t)
    const { body } = await hive.call('POST', '/spawn', { kind: 'fake', labels: { constructor: 'x', toString: 'y' } })
    assert.deepEqual(body.labels, { constructor: 'x', toString: 'y' })
    assert.equal((await hive.call('GET', '/services?label=constructor=x')).body.services.length, 1)
    assert.equal((await hive.call('GET', '/services?label=valueOf=x')).body.services.length, 0)
  })

  test('A11: unknown fields are refused and named, of a doubled key the last counts, a BOM is skipped', async (t) => {
    const hive = await openControl(t)
    const unknown = await post(hive, '{"kind":"fake","privileged":true}')
    assertProblem(unknown, 400, 'HIVE_REQUEST_INVALID')
    assert.deepEqual(unknown.body.errors, [{ pointer: '/privileged', detail: 'is not a known field' }])
    const names = await post(hive, '{"kind":"fake","labels":{"a b":"c"},"environment":{"1A":"c"}}')
    assert.match(
      JSON.stringify(names.body.errors),
      /"\/environment\/1A","detail":"must be named with letters, digits and _/,
    )
    assert.match(JSON.stringify(names.body.errors), /"\/labels\/a b","detail":"must be named with 1 to 63 letters/)
    const doubled = await post(hive, '{"kind":"nope","name":"first","kind":"fake","name":"second"}')
    assert.equal(doubled.status, 202)
    assert.equal(doubled.body.name, 'second')
    assert.equal((await post(hive, '\xef\xbb\xbf{"kind":"fake"}')).status, 202)
  })

  test('A12: bodies that are deep, wide or too long are refused while others are answered', async (t) => {
    const hive = await openControl(t)
    const deep = [
      '['.repeat(20_000),
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      `${'{"a":'.repeat(20_000)}"\\ud800"${'}'.repeat(20_000)}`,
      `{"kind":"fake","labels":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
      `{"kind":"fake","labels":{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":1`).join(',')}}}`,
      `{"kind":"fake","name":"${'x'.repeat(200_000)}"}`,
      `{"kind":"${'x'.repeat(200_000)}"}`,
      `{"${'x'.repeat(200_000)}":1}`,
    ]
    for (const body of deep) assertProblem(await post(hive, body), 400, 'HIVE_REQUEST_INVALID', 'x'.repeat(201))
    const limit = 256 * 1024
    const longest = `{"kind":"fake","setup_token":""${' '.repeat(limit - 32)}}`
    assert.equal(longest.length, limit)
    assertProblem(await post(hive, longest), 400, 'HIVE_REQUEST_INVALID')
    assertProblem(await post(hive, `${longest} `), 413, 'HIVE_BODY_TOO_LARGE')
    assertProblem(
      await post(hive, '', ['Content-Type: application/json', 'Content-Length: 10485760']),
      400,
      'HIVE_REQUEST_INVALID',
    )
    await nothingMade(hive)
  })

  test('A12: a chunked body without end is cut at the limit', async (t) => {
    const hive = await openControl(t)
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const head = [
      'POST /spawn HTTP/1.1',
      HOST,
      hive.bearer,
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
      '',
      '',
    ].join('\r\n')
    assertProblem(await sendRaw(t, hive.port, head + chunk.repeat(5)), 413, 'HIVE_BODY_TOO_LARGE')
  })

  test('A13: only application/json in UTF-8 is read', async (t) => {
    const hive = await openControl(t)
    const json = '{"kind":"fake"}'
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json\ta',
      'application/json ; a',
      'application/json;',
      'application/json; charset=latin1',
      'application/json; charset=utf-8; a=b',
      '*/*',
      'application/*',
      'application/problem+json',
      'application/jsonx',
      'application/json, text/plain',
      'json',
      '',
    ])
      assertProblem(await post(hive, json, [`Content-Type: ${type}`]), 415, 'HIVE_MEDIA_TYPE')
    assertProblem(await post(hive, json, []), 415, 'HIVE_MEDIA_TYPE')
    await nothingMade(hive)
    for (const type of [
      'application/json',
      ' application/json ',
      'APPLICATION/JSON',
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
    ])
      assert.equal((await post(hive, json, [`Content-Type: ${type}`])).status, 202, type)
  })

  test('A14: an encoded body is not unpacked: 415', async (t) => {
    const hive = await openControl(t)
    for (const encoding of ['gzip', 'deflate', 'br', 'gzip, identity', 'x'])
      assertProblem(
        await post(hive, '{"kind":"fake"}', ['Content-Type: application/json', `Content-Encoding: ${encoding}`]),
        415,
        'HIVE_MEDIA_TYPE',
      )
    assert.equal(
      (await post(hive, '{"kind":"fake"}', ['Content-Type: application/json', 'Content-Encoding: identity'])).status,
      202,
    )
  })

  test('A15: values of another type are refused, never converted', async (t) => {
    const hive = await openControl(t)
    for (const field of ['kind', 'name', 'request_id', 'setup_token', 'type'])
      for (const value of ['1e999', '-0', '12345678901234567890', 'true', 'null', '[]', '{}', '["fake"]']) {
        const body = field === 'kind' ? `{"kind":${value}}` : `{"kind":"fake","${field}":${value}}`
        assertProblem(await post(hive, body), 400, 'HIVE_REQUEST_INVALID')
      }
    for (const map of ['environment', 'labels'])
      for (const value of ['"x"', '[]', 'null', '{"A":1}', '{"A":true}', '{"A":null}', '{"A":["x"]}'])
        assertProblem(await post(hive, `{"kind":"fake","${map}":${value}}`), 400, 'HIVE_REQUEST_INVALID')
    for (const body of [
      'null',
      '1',
      '"x"',
      '[]',
      'true',
      '',
      ' ',
      '{',
      '{"kind":fake}',
      "{'kind':'fake'}",
      '{"kind":"fake",}',
      '{"kind":"fake"}x',
      'NaN',
      '/**/{}',
    ])
      assertProblem(await post(hive, body), 400, 'HIVE_REQUEST_INVALID')
    await nothingMade(hive)
  })

  test('A16: half a surrogate pair, bytes that are no UTF-8 and NUL are refused; whole pairs are kept', async (t) => {
    const hive = await openControl(t)
    const bodies = [
      '{"kind":"fake","labels":{"a":"\\ud800"}}',
      '{"kind":"fake","labels":{"a":"x\\uDFFFy"}}',
      '{"kind":"fake","labels":{"a":"\\\\\\ud800"}}',
      '{"kind":"fake","setup_token":"\\udc00\\ud800"}',
      '{"kind":"fake","labels":{"a":"\xff"}}',
      '{"kind":"fake","labels":{"a":"\xc0\xae"}}',
      '{"kind":"fake","labels":{"a":"\xed\xa0\x80"}}',
      '{"kind":"fake","name":"\\u0000"}',
      '{"kind":"fake","setup_token":"a\\u0000b"}',
      '{"kind":"fake","environment":{"A":"a\\u0000b"}}',
      '{"kind":"fake","labels":{"a":"\\u0000"}}',
      '{"kind":"fake","labels":{"a":"\\u001b]0;x"}}',
    ]
    for (const body of bodies) assertProblem(await post(hive, body), 400, 'HIVE_REQUEST_INVALID')
    await nothingMade(hive)
    const whole = await hive.call(
      'POST',
      '/spawn',
      '{"kind":"fake","labels":{"a":"\\ud83d\\ude00","b":"\\\\ud800","c":"\u00e4"}}',
    )
    assert.deepEqual(whole.body.labels, { a: '\u{1f600}', b: '\\ud800', c: 'ä' })
  })

  test('a body where none is taken is refused, an empty object is not', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'bare' })
    for (const verb of ['stop', 'start', 'restart'])
      for (const body of ['{"force":true}', '[]', '[1]', '1', '"x"'])
        assertProblem(await post(hive, body, undefined, `/services/bare/${verb}`), 400, 'HIVE_REQUEST_INVALID')
    const removal = await hive.raw(
      'DELETE /services/bare HTTP/1.1',
      [HOST, hive.bearer, 'Content-Type: application/json', 'Content-Length: 7'],
      '{"a":1}',
    )
    assertProblem(removal, 400, 'HIVE_REQUEST_INVALID')
    assert.equal((await hive.call('GET', '/services/bare')).body.desired, 'running')
    assert.equal((await hive.call('POST', '/services/bare/stop', {})).status, 202)
  })

  test('a client that goes away in the middle of its body makes nothing and leaves no error behind', async (t) => {
    const hive = await openControl(t)
    const socket = await rawConnect(t, hive.port)
    socket.write(
      [
        'POST /spawn HTTP/1.1',
        HOST,
        hive.bearer,
        'Content-Type: application/json',
        'Content-Length: 99',
        '',
        '{"kind"',
      ].join('\r\n'),
    )
    await until(() => hive.app.server.listening, 1_000, 'listening')
    socket.resetAndDestroy()
    await nothingMade(hive)
    assert.doesNotMatch(hive.log(), /"level":(?:50|60)/)
  })
})

test('A12: a body that does not arrive in time is 408, and the connection is closed', async (t) => {
  const app = fastify()
  t.after(() => app.close())
  await app.register(problemDetails)
  await app.register(hostGuard, { config: configOf({}), bodyMs: 50 })
  app.post('/slow', async () => 'never')
  app.get('/late', async () => delay(150, 'late'))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const head = ['POST /slow HTTP/1.1', HOST, 'Content-Type: application/json', 'Content-Length: 99', '', '{'].join(
    '\r\n',
  )
  const slow = await sendRaw(t, port, head)
  assertProblem(slow, 408, 'HIVE_REQUEST_TIMEOUT')
  assert.equal(slow.headers['connection'], 'close')
  const socket = await rawConnect(t, port)
  const all = readAll(socket)
  socket.write(head)
  const drip = setInterval(() => socket.write(' '), 10)
  t.after(() => clearInterval(drip))
  assert.match(await all, /^HTTP\/1\.1 408 /)
  const whole = await sendRaw(
    t,
    port,
    `GET /late HTTP/1.1\r\n${HOST}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
  )
  assert.equal(whole.text, 'late', 'a body that has arrived is not slow, whoever reads it')
})
