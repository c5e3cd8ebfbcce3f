import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { assertProblem, type ControlHive, openControl } from '../support/control.ts'

const HOST = 'Host: localhost'

suite('methods and addresses of the control API', () => {
  test('A27: methods that a route does not have are 405 with Allow, and none that is not known has an effect', async (t) => {
    const hive = await openControl(t)
    for (const [path, allow] of [
      ['/services', 'GET, HEAD'],
      ['/services/x', 'DELETE, GET, HEAD'],
      ['/services/x/stop', 'POST'],
      ['/spawn', 'POST'],
      ['/kinds', 'GET, HEAD'],
      ['/livez', 'GET, HEAD'],
    ] as const)
      for (const method of ['TRACE', 'PROPFIND', 'PUT', 'PATCH', 'OPTIONS']) {
        const answer = await hive.raw(`${method} ${path} HTTP/1.1`, [HOST, hive.bearer])
        assertProblem(answer, 405, 'HIVE_METHOD_NOT_ALLOWED')
        assert.equal(answer.headers['allow'], allow)
      }
    for (const method of ['TRACK', 'get', 'X'.repeat(10_000), 'GE\tT', '']) {
      const answer = await hive.raw(`${method} /services HTTP/1.1`, [HOST, hive.bearer])
      assertProblem(answer, 400, 'HIVE_REQUEST_INVALID', method)
      assert.equal(answer.headers['connection'], 'close')
    }
  })

  test('A27: CONNECT opens nothing: the connection is closed', async (t) => {
    const hive = await openControl(t)
    const answer = await hive.raw('CONNECT 127.0.0.1:22 HTTP/1.1', [HOST, hive.bearer])
    assert.ok(answer.status === 0 || answer.status >= 400, String(answer.status))
    assert.equal((await hive.call('GET', '/livez')).status, 200)
  })

  test('A28: neither a field nor a parameter changes the method', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'kept' })
    const override = ['X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: DELETE']
    assert.equal(
      (await hive.raw('GET /services/kept HTTP/1.1', [HOST, hive.bearer, ...override])).body.state,
      'running',
    )
    const parameter = await hive.raw('GET /services/kept?_method=DELETE HTTP/1.1', [HOST, hive.bearer])
    assertProblem(parameter, 400, 'HIVE_REQUEST_INVALID')
    const form = await hive.raw(
      'POST /services/kept/stop HTTP/1.1',
      [HOST, hive.bearer, 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 14'],
      '_method=DELETE',
    )
    assertProblem(form, 415, 'HIVE_MEDIA_TYPE')
    assert.equal((await hive.call('GET', '/services/kept')).body.desired, 'running')
  })

  test('A29: no origin gets a CORS field by default, and a form’s request changes nothing', async (t) => {
    const hive = await openControl(t)
    for (const origin of ['https://evil.example', 'null', 'http://evil.localhost', hive.url]) {
      const preflight = await hive.raw('OPTIONS /spawn HTTP/1.1', [
        HOST,
        `Origin: ${origin}`,
        'Access-Control-Request-Method: POST',
        'Access-Control-Request-Headers: authorization',
      ])
      assertProblem(preflight, 405, 'HIVE_METHOD_NOT_ALLOWED')
      const read = await hive.raw('GET /services HTTP/1.1', [HOST, hive.bearer, `Origin: ${origin}`])
      for (const { headers } of [preflight, read])
        assert.deepEqual(
          Object.keys(headers).filter((name) => name.startsWith('access-control')),
          [],
        )
    }
    const simple = await hive.raw(
      'POST /spawn HTTP/1.1',
      [HOST, 'Origin: https://evil.example', 'Content-Type: text/plain', 'Content-Length: 15'],
      '{"kind":"fake"}',
    )
    assertProblem(simple, 401, 'HIVE_UNAUTHORIZED')
    const withToken = await hive.raw(
      'POST /spawn HTTP/1.1',
      [HOST, hive.bearer, 'Origin: https://evil.example', 'Content-Type: text/plain', 'Content-Length: 15'],
      '{"kind":"fake"}',
    )
    assertProblem(withToken, 415, 'HIVE_MEDIA_TYPE')
    assert.deepEqual((await hive.call('GET', '/services')).body.services, [])
  })

  test('A29: HIVE_CORS_ORIGINS opens the control API to its origins only, without credentials', async (t) => {
    const hive = await openControl(t, { env: { HIVE_CORS_ORIGINS: 'https://app.example' } })
    const ask = (origin: string) =>
      hive.raw('OPTIONS /spawn HTTP/1.1', [HOST, `Origin: ${origin}`, 'Access-Control-Request-Method: POST'])
    const allowed = await ask('https://app.example')
    assert.equal(allowed.status, 204)
    assert.equal(allowed.headers['access-control-allow-origin'], 'https://app.example')
    assert.match(allowed.headers['access-control-allow-headers'] ?? '', /Authorization/)
    assert.equal(allowed.headers['access-control-allow-credentials'], undefined)
    for (const origin of [
      'https://app.example.evil',
      'https://sub.app.example',
      'http://app.example',
      'null',
      'HTTPS://APP.EXAMPLE',
    ])
      assertProblem(await ask(origin), 405, 'HIVE_METHOD_NOT_ALLOWED')
    const read = await hive.raw('GET /services HTTP/1.1', [HOST, 'Origin: https://app.example'])
    assertProblem(read, 401, 'HIVE_UNAUTHORIZED')
    assert.equal(read.headers['access-control-allow-origin'], 'https://app.example', 'a page may read why')
    const cocoon = await hive.raw('GET /cocoons/x/ HTTP/1.1', [HOST, 'Origin: https://app.example'])
    assert.equal(cocoon.headers['access-control-allow-origin'], undefined, 'what cocoons answer is theirs')
  })

  test('A30: a host that is not served here is 421, a malformed one 400, before the token is looked at', async (t) => {
    const hive = await openControl(t)
    for (const host of [
      'evil',
      'evil.example:80',
      '192.0.2.1',
      '[2001:db8::1]',
      'localhost.evil',
      '127.0.0.1.evil',
      '2130706433',
      '0x7f000001',
    ])
      for (const fields of [[`Host: ${host}`], [`Host: ${host}`, hive.bearer]])
        assertProblem(await hive.raw('GET /services HTTP/1.1', fields), 421, 'HIVE_HOST_REFUSED')
    for (const host of [
      '127.0.0.1@evil',
      'evil@127.0.0.1',
      'a b',
      'localhost/x',
      'localhost:x',
      'localhost:123456',
      'a,b',
      '',
    ])
      assertProblem(
        await hive.raw('GET /services HTTP/1.1', [`Host: ${host}`, hive.bearer]),
        400,
        'HIVE_REQUEST_INVALID',
      )
    for (const host of ['localhost', '127.0.0.1', `127.0.0.1:${hive.port}`, '[::1]:1', 'LOCALHOST', '127.1.2.3'])
      assert.equal((await hive.raw('GET /services HTTP/1.1', [`Host: ${host}`, hive.bearer])).status, 200, host)
  })

  test('A30: forwarded fields change neither the host nor the addresses in an answer', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'here' })
    const forged = [
      'X-Forwarded-Host: evil',
      'X-Forwarded-Proto: https',
      'X-Forwarded-For: 203.0.113.9',
      'Forwarded: host=evil;proto=https;for=203.0.113.9',
      'X-Real-IP: 203.0.113.9',
      'X-Forwarded-Prefix: /evil',
    ]
    const { body } = await hive.raw('GET /services/here HTTP/1.1', [HOST, hive.bearer, ...forged])
    assert.equal(body.url, `${hive.url}/cocoons/here/`)
    assert.equal(
      (await hive.raw('GET /services HTTP/1.1', ['Host: evil', 'X-Forwarded-Host: localhost', hive.bearer])).status,
      421,
    )
    assert.ok(!hive.log().includes('203.0.113.9'))
  })

  test('A33: malformed addresses get the same problem with and without a token', async (t) => {
    const hive = await openControl(t)
    const long = 'a'.repeat(101)
    for (const [path, status, code] of [
      ['/%zz', 400, 'HIVE_REQUEST_INVALID'],
      ['/%ff', 400, 'HIVE_REQUEST_INVALID'],
      ['/services/%', 400, 'HIVE_REQUEST_INVALID'],
      ['/services/%c0%ae', 400, 'HIVE_REQUEST_INVALID'],
      [`/services/${long}`, 414, 'HIVE_URL_TOO_LONG'],
      [`/kinds/${long}`, 414, 'HIVE_URL_TOO_LONG'],
    ] as const)
      for (const fields of [[HOST], [HOST, hive.bearer], [HOST, 'Authorization: Bearer wrong']])
        assertProblem(await hive.raw(`GET ${path} HTTP/1.1`, fields), status, code)
    for (const target of ['services', '/ser vices', '/services\x01', '/\xff'])
      assertProblem(await hive.raw(`GET ${target} HTTP/1.1`, [HOST, hive.bearer]), 400, 'HIVE_REQUEST_INVALID')
  })

  test('A34: other spellings of an address are nothing, or need the token as the plain one does', async (t) => {
    const hive = await openControl(t)
    for (const path of [
      '//services',
      '/SERVICES',
      '/./services',
      '/x/../services',
      '/services;y',
      '/services%3Fx',
      '/%2fservices',
      '\\services',
      '/api/v1/services',
    ])
      for (const fields of [[HOST], [HOST, hive.bearer]]) {
        const { status } = await hive.raw(`GET ${path} HTTP/1.1`, fields)
        assert.ok(status === 404 || status === 400, `${path}: ${status}`)
      }
    for (const path of ['/%73ervices', '/services?', '/services?#'])
      assertProblem(await hive.raw(`GET ${path} HTTP/1.1`, [HOST]), 401, 'HIVE_UNAUTHORIZED')
    for (const path of ['/services/', '/services/;y', '/services//'])
      assert.notEqual((await hive.raw(`GET ${path} HTTP/1.1`, [HOST])).status, 200, path)
  })

  test('A35: the authority of an absolute-form target replaces Host, and the guard looks at that', async (t) => {
    const hive = await openControl(t)
    const ask = (target: string, host: string) => hive.raw(`GET ${target} HTTP/1.1`, [`Host: ${host}`, hive.bearer])
    assertProblem(await ask('http://evil/services', 'localhost'), 421, 'HIVE_HOST_REFUSED')
    assertProblem(await ask('http://evil@localhost/services', 'localhost'), 400, 'HIVE_REQUEST_INVALID')
    assert.equal((await ask('http://localhost/services', 'evil')).status, 200)
    for (const target of ['file:///services', 'services', 'localhost:80'])
      assert.ok((await ask(target, 'localhost')).status >= 400, target)
    assertProblem(await ask('*', 'localhost'), 404, 'HIVE_NOT_FOUND')
  })

  test('A36: an absurd Accept or Range is ignored', async (t) => {
    const hive = await openControl(t)
    const accept = `Accept: */*;q=0.${'1'.repeat(10_000)}`
    const range = `Range: bytes=${Array.from({ length: 1_000 }, (_, at) => `${at}-`).join(',')}`
    for (const field of [
      accept,
      range,
      'Accept: text/html',
      'Accept: application/xml;q=1',
      'Accept-Encoding: gzip;q=9',
    ])
      assert.deepEqual((await hive.raw('GET /services HTTP/1.1', [HOST, hive.bearer, field])).body, {
        services: [],
        next_cursor: null,
      })
  })

  test('what HTTP itself forbids is a problem document, too', async (t) => {
    const hive = await openControl(t)
    const cases: readonly [string, readonly string[], number, string][] = [
      ['GET /services HTTP/1.1', [HOST, hive.bearer, 'Expect: a-miracle'], 417, 'HIVE_EXPECTATION_FAILED'],
      ['GET /services HTTP/1.1', [hive.bearer], 400, 'HIVE_REQUEST_INVALID'],
      ['GET /services HTTP/1.1', [HOST, HOST, hive.bearer], 400, 'HIVE_REQUEST_INVALID'],
      ['GET /services HTTP/1.2', [HOST, hive.bearer], 505, 'HIVE_VERSION'],
      [
        'GET /services HTTP/1.1',
        [
          HOST,
          hive.bearer,
          'Upgrade: websocket',
          'Connection: upgrade',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Version: 13',
        ],
        404,
        'HIVE_NOT_FOUND',
      ],
      [
        'POST /spawn HTTP/1.1',
        [HOST, hive.bearer, 'Content-Length: 1', 'Transfer-Encoding: chunked'],
        400,
        'HIVE_REQUEST_INVALID',
      ],
      ['POST /spawn HTTP/1.1', [HOST, hive.bearer, 'Transfer-Encoding: gzip, chunked'], 501, 'HIVE_NOT_IMPLEMENTED'],
    ]
    for (const [line, fields, status, code] of cases) assertProblem(await hive.raw(line, fields), status, code)
  })

  test('nothing of all this is a crash: afterwards Hive still spawns', async (t) => {
    const hive: ControlHive = await openControl(t)
    for (const bytes of [
      '\x16\x03\x01\x02\x00',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\r\n\r\n\r\n',
      'GET',
      '\0'.repeat(1_000),
    ])
      await hive.raw(bytes)
    assert.equal((await hive.spawn({ kind: 'fake' })).state, 'running')
  })
})
