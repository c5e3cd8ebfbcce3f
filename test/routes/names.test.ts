import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { assertProblem, openControl } from '../support/control.ts'

const HOST = 'Host: localhost'
const utf8 = (text: string) => Buffer.from(text).toString('latin1')

const CALLS = [
  ['GET', ''],
  ['DELETE', ''],
  ['POST', '/stop'],
  ['POST', '/start'],
  ['POST', '/restart'],
] as const

suite('names of services', () => {
  test('A6: encoded separators, dots, NUL and line breaks are no name on any route', async (t) => {
    const hive = await openControl(t)
    for (const name of [
      'a%2fb',
      '..',
      '%2e%2e',
      '.',
      '%00',
      'a%0d%0ab',
      'a%2f..%2fb',
      '%2e',
      'a%20b',
      'a%5cb',
      'a%3fb',
      'a%23b',
      '%252e',
    ])
      for (const [method, verb] of CALLS)
        assertProblem(
          await hive.raw(`${method} /services/${name}${verb} HTTP/1.1`, [HOST, hive.bearer]),
          400,
          'HIVE_REQUEST_INVALID',
        )
  })

  test('A7: only DNS labels without -- are names, in the address and in the body', async (t) => {
    const hive = await openControl(t)
    const wrong = [
      'A',
      'a_b',
      '-a',
      'a-',
      'a..b',
      'a.b',
      'a--b',
      'a'.repeat(57),
      'a'.repeat(64),
      'a:b',
      'a b',
      'cocoons:',
      'cocoons:A',
      'cocoons:cocoons:a',
      'COCOONS:a',
    ]
    for (const name of wrong) {
      assertProblem(
        await hive.raw(`GET /services/${encodeURIComponent(name)} HTTP/1.1`, [HOST, hive.bearer]),
        400,
        'HIVE_REQUEST_INVALID',
      )
      const spawned = await hive.call('POST', '/spawn', { kind: 'fake', name })
      assert.equal(spawned.status, 400, name)
      assert.equal(spawned.body.errors[0].pointer, '/name')
    }
    assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', name: '' })).status, 400)
    assertProblem(await hive.raw('GET /services/ HTTP/1.1', [HOST, hive.bearer]), 400, 'HIVE_REQUEST_INVALID')
    for (const length of [101, 5_000])
      assertProblem(
        await hive.raw(`GET /services/${'a'.repeat(length)} HTTP/1.1`, [HOST, hive.bearer]),
        414,
        'HIVE_URL_TOO_LONG',
      )
    assertProblem(
      await hive.raw(`GET /services/${'a'.repeat(1 << 20)} HTTP/1.1`, [HOST, hive.bearer]),
      431,
      'HIVE_HEADERS_TOO_LARGE',
    )
    for (const name of ['a', '0', 'a-b', 'a'.repeat(56)])
      assert.equal((await hive.spawn({ kind: 'fake', name })).name, name)
  })

  test('A8: no script, width or case of Unicode is folded into a name that exists', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'sack' })
    for (const name of [
      'ѕack',
      's\u0430ck',
      '\u202esack',
      'ｓack',
      's\u0301ack',
      '\u{1f41d}',
      '\u017fack',
      'sac\u212a',
      'sack\u200b',
      'SACK',
      'sack\u00ad',
    ]) {
      const encoded = await hive.raw(`GET /services/${encodeURIComponent(name)} HTTP/1.1`, [HOST, hive.bearer])
      assertProblem(encoded, 400, 'HIVE_REQUEST_INVALID')
      const plain = await hive.raw(`GET /services/${utf8(name)} HTTP/1.1`, [HOST, hive.bearer])
      assert.ok(plain.status === 400, `${name}: ${plain.status}`)
      assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', name })).status, 400, name)
    }
    assert.equal(
      (await hive.call('POST', '/spawn', { kind: 'fake', name: 'xn--80ak6aa92e' })).status,
      400,
      'no punycode: --',
    )
    assert.equal((await hive.call('GET', '/services')).body.services.length, 1)
  })

  test('A9: names of Object.prototype and of routes are names like others, and nobody has them unasked', async (t) => {
    const hive = await openControl(t)
    for (const name of ['__proto__', 'toString', '.well-known', 'hasOwnProperty'])
      assert.equal((await hive.call('GET', `/services/${name}`)).status, 400, name)
    for (const name of [
      'constructor',
      'api',
      'healthz',
      'metrics',
      'localhost',
      'null',
      'undefined',
      'stop',
      'services',
    ]) {
      assert.equal((await hive.call('GET', `/services/${name}`)).status, 404, name)
      assert.equal((await hive.call('DELETE', `/services/${name}`)).status, 404, name)
      assert.equal((await hive.spawn({ kind: 'fake', name })).name, name)
    }
    assert.equal((await hive.call('GET', '/services?kind=constructor')).body.services.length, 0)
    assert.equal((await hive.call('GET', '/kinds/__proto__')).status, 404)
    assert.equal((await hive.call('GET', '/kinds/constructor')).status, 404)
  })

  test('wherever a name is taken, cocoons:<name> is too', async (t) => {
    const hive = await openControl(t)
    assert.equal((await hive.spawn({ kind: 'fake', name: 'cocoons:worker-1' })).name, 'worker-1')
    assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', name: 'worker-1' })).status, 409)
    for (const name of ['worker-1', 'cocoons:worker-1', 'cocoons%3Aworker-1']) {
      assert.equal((await hive.call('GET', `/services/${name}`)).body.fqn, 'cocoons:worker-1')
      assert.equal((await hive.call('POST', `/services/${name}/restart?wait=ready`)).status, 200)
    }
    assert.equal((await hive.call('DELETE', '/services/cocoons:worker-1')).body.state, 'removed')
  })
})
