import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { suite } from 'node:test'
import { operationsOf } from '../support/api-document.ts'
import { assertProblem, openControl } from '../support/control.ts'

const HOST = 'Host: localhost'
const DOCUMENT = new URL('../../openapi/hive.v1.json', import.meta.url)
const OPEN = ['/livez', '/readyz']

/** Every operation of the document but the open ones. */
async function controlled(): Promise<readonly (readonly [method: string, path: string])[]> {
  const all = operationsOf(JSON.parse(await readFile(DOCUMENT, 'utf8')))
  return all.filter(([, path]) => !OPEN.includes(path)).map(([method, path]) => [method, path.replace(/\{\w+\}/, 'x')])
}

suite('the control token', () => {
  test('A1: no token, an empty one and another scheme are 401 with a challenge, on every controlled route', async (t) => {
    const hive = await openControl(t)
    for (const [method, path] of await controlled())
      for (const field of [
        null,
        'Authorization:',
        'Authorization: Bearer',
        'Authorization: Bearer ',
        `Authorization: Basic ${hive.token}`,
        `Authorization: ${hive.token}`,
        `Authorization: Bearer${hive.token}`,
      ]) {
        const answer = await hive.raw(`${method} ${path} HTTP/1.1`, [HOST, ...(field === null ? [] : [field])])
        assertProblem(answer, 401, 'HIVE_UNAUTHORIZED')
        assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/)
      }
  })

  test('A1: of two Authorization fields neither counts: 400, whichever is right', async (t) => {
    const hive = await openControl(t)
    for (const fields of [
      [hive.bearer, 'Authorization: Bearer x'],
      ['Authorization: Bearer x', hive.bearer],
      [hive.bearer, hive.bearer],
    ])
      assertProblem(await hive.raw('GET /services HTTP/1.1', [HOST, ...fields]), 400, 'HIVE_REQUEST_INVALID')
  })

  test('A2: a token that is almost right is wrong', async (t) => {
    const hive = await openControl(t)
    const almost = [
      ` ${hive.token}`,
      `${hive.token}x`,
      `${hive.token}\u00a0`,
      `${hive.token} x`,
      `${hive.token}, ${hive.token}`,
      `"${hive.token}"`,
      hive.token.slice(0, -1),
      hive.token.slice(0, 1),
      hive.token.toUpperCase(),
      encodeURIComponent(`${hive.token}=`),
      `${hive.token}${'x'.repeat(10_000)}`,
      '\u00fc\u00ff',
    ]
    for (const token of almost)
      assertProblem(
        await hive.raw('GET /services HTTP/1.1', [HOST, `Authorization: Bearer ${token}`]),
        401,
        'HIVE_UNAUTHORIZED',
        token,
      )
    // RFC 9110 §5.5: blanks around a field's value are not part of it.
    assert.equal((await hive.raw('GET /services HTTP/1.1', [HOST, `${hive.bearer} \t `])).status, 200)
    assert.equal((await hive.raw('GET /services HTTP/1.1', [HOST, `authorization: bEARER ${hive.token}`])).status, 200)
  })

  test('A2: a NUL or a line break in the token is no HTTP', async (t) => {
    const hive = await openControl(t)
    for (const broken of ['\0', '\r', '\n x']) {
      const answer = await hive.raw('GET /services HTTP/1.1', [HOST, `${hive.bearer}${broken}`])
      assertProblem(answer, 400, 'HIVE_REQUEST_INVALID')
      assert.equal(answer.headers['connection'], 'close')
    }
  })

  test('A3: a token in the query, in a cookie or in the data plane’s field is no token, and is never logged', async (t) => {
    const hive = await openControl(t)
    for (const name of ['token', 'access_token', 'authorization']) {
      const answer = await hive.raw(`GET /services?${name}=${hive.token} HTTP/1.1`, [HOST])
      assertProblem(answer, 401, 'HIVE_UNAUTHORIZED')
      assert.ok(!answer.text.includes(hive.token))
    }
    for (const field of [
      `Cookie: token=${hive.token}; hive=${hive.token}`,
      `Hive-Token: ${hive.token}`,
      `X-Api-Key: ${hive.token}`,
      `Proxy-Authorization: Bearer ${hive.token}`,
    ])
      assertProblem(await hive.raw('GET /services HTTP/1.1', [HOST, field]), 401, 'HIVE_UNAUTHORIZED')
    assert.ok(!hive.log().includes(hive.token))
  })

  test('A5: a token behind 2,500 fields, or behind 16 KB of them, is not reached: 431', async (t) => {
    const hive = await openControl(t)
    const many = Array.from({ length: 2_500 }, (_, at) => `a${at}: b`)
    assertProblem(await hive.raw('GET /services HTTP/1.1', [HOST, ...many, hive.bearer]), 431, 'HIVE_HEADERS_TOO_LARGE')
    assertProblem(
      await hive.raw('GET /services HTTP/1.1', [HOST, ...many.slice(0, 120), hive.bearer]),
      431,
      'HIVE_HEADERS_TOO_LARGE',
    )
    const long = `X-Long: ${'x'.repeat(20_000)}`
    assertProblem(await hive.raw('GET /services HTTP/1.1', [HOST, long, hive.bearer]), 431, 'HIVE_HEADERS_TOO_LARGE')
  })

  test('only the documents and the two health routes are open', async (t) => {
    const hive = await openControl(t)
    for (const path of ['/livez', '/readyz', '/openapi.json', '/docs/'])
      assert.equal((await hive.raw(`GET ${path} HTTP/1.1`, [HOST])).status, 200, path)
  })

  test('A31: after 100 wrong tokens a minute an address gets 429; the right one is taken all the same', async (t) => {
    const hive = await openControl(t)
    const services = (...fields: string[]) => hive.raw('GET /services HTTP/1.1', [HOST, ...fields])
    for (let n = 0; n < 100; n += 1)
      assertProblem(await services(`Authorization: Bearer ${n}`), 401, 'HIVE_UNAUTHORIZED')
    for (const path of ['/services', '/kinds', '/metrics']) {
      const answer = await hive.raw(`GET ${path} HTTP/1.1`, [HOST, 'Authorization: Bearer x'])
      assertProblem(answer, 429, 'HIVE_TOO_MANY_WRONG_TOKENS')
      const seconds = Number(answer.headers['retry-after'])
      assert.ok(seconds >= 1 && seconds <= 60, String(seconds))
    }
    assert.equal((await services(hive.bearer)).status, 200)
    assertProblem(await services(), 401, 'HIVE_UNAUTHORIZED')
  })

  test('what a stranger sends fills no log', async (t) => {
    const hive = await openControl(t)
    const before = hive.log()
    const fields = [HOST, 'Transfer-Encoding: gzip, chunked']
    assert.equal((await hive.raw('GET /services HTTP/1.1', fields)).status, 501)
    assert.equal((await hive.raw('GET /services HTTP/1.2', fields)).status, 505)
    assert.equal((await hive.raw('GET /services HTTP/1.1', [HOST])).status, 401)
    assert.equal((await hive.raw('GET /cocoons/x/ HTTP/1.1', [HOST])).status, 404)
    assert.equal(hive.log(), before)
  })

  test('HIVE_AUTH=off opens every route and takes any token', async (t) => {
    const hive = await openControl(t, { env: { HIVE_AUTH: 'off' } })
    assert.equal((await hive.raw('GET /services HTTP/1.1', [HOST])).status, 200)
    assert.equal((await hive.raw('GET /services HTTP/1.1', [HOST, 'Authorization: Bearer x'])).status, 200)
  })
})
