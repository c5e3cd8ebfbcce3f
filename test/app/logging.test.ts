import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import { createLogger } from '../../src/logging.ts'
import { Secret } from '../../src/secret.ts'
import { openControl } from '../support/control.ts'

function capture(level: 'trace' | 'info' = 'trace') {
  const lines: string[] = []
  const log = createLogger({ logLevel: level }, { write: (line) => void lines.push(line) })
  return { log, text: () => lines.join(''), lines }
}

const KEYS = [
  'authorization',
  'cookie',
  'hive-token',
  'set-cookie',
  'setup_token',
  'setupToken',
  'environment',
  'env',
  'cocoonSecret',
  'COCOON_SECRET',
  'COCOON_SETUP_TOKEN',
  'password',
  'token',
]

suite('the log', () => {
  test('prints [redacted] for every name of a secret, up to three levels deep', () => {
    const { log, text } = capture()
    for (const key of KEYS) {
      log.info({ [key]: 'planted' })
      log.info({ a: { [key]: 'planted' } })
      log.info({ a: { b: { [key]: { inner: 'planted' } } } })
      log.child({ [key]: 'planted' }).info('a child')
    }
    assert.doesNotMatch(text(), /planted/)
    assert.equal(text().match(/\[redacted\]/g)?.length, KEYS.length * 4)
  })

  test('prints a Secret as [redacted] wherever it stands', () => {
    const { log, text } = capture()
    const secret = new Secret('planted')
    log.info({ x: secret, deep: [{ y: [secret] }] }, `%s %o ${secret}`, secret, secret)
    assert.doesNotMatch(text(), /planted/)
  })

  test('keeps of an error what names the fault, and nothing a library hung on it', () => {
    const { log, lines } = capture()
    const cause = Object.assign(new Error('inner'), { code: 'EX', body: 'planted', request: { headers: 'planted' } })
    log.error({ err: Object.assign(new Error('outer', { cause }), { config: 'planted', env: { A: 'planted' } }) })
    log.error({ err: 'a text' })
    assert.doesNotMatch(lines.join(''), /planted/)
    const { err } = JSON.parse(lines[0] ?? '')
    assert.deepEqual([err.type, err.message, err.cause.message, err.cause.code], ['Error', 'outer', 'inner', 'EX'])
    assert.equal(JSON.parse(lines[1] ?? '').err.message, 'a text')
  })

  test('leaves the query and the fields of a request out', () => {
    const { log, lines } = capture()
    log.info({
      req: { method: 'GET', url: '/services?token=planted', ip: '127.0.0.1', headers: { authorization: 'planted' } },
      res: { statusCode: 200, headers: 'planted' },
    })
    assert.doesNotMatch(lines.join(''), /planted/)
    assert.deepEqual(JSON.parse(lines[0] ?? '').req, { method: 'GET', path: '/services', peer: '127.0.0.1' })
  })

  test('A37: text from outside stays inside its JSON string: one line per entry, no forged level, no terminal escape', async (t) => {
    const { log, lines } = capture()
    log.info({ x: 'a\r\n{"level":60}\u001b]0;title\u0007' }, 'b\n{"level":60}')
    assert.equal(lines.length, 1)
    assert.equal(lines[0]?.split('\n').length, 2)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.doesNotMatch(lines[0] ?? '', /[\u0000-\u0009\u000b-\u001f]/)

    const hive = await openControl(t)
    const request_id = '","level":60,"msg":"forged'
    await hive.spawn({ kind: 'fake', name: 'forger', request_id, labels: { a: '"}{"level":60}' } })
    await hive.raw('GET /%0d%0a{"level":60} HTTP/1.1', ['Host: localhost', hive.bearer])
    await hive.raw('GET /services?x=%0d%0a{"level":60} HTTP/1.1', [
      'Host: localhost',
      hive.bearer,
      'User-Agent: {"level":60}',
    ])
    const entries = hive
      .log()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.ok(entries.every(({ level, msg }) => level <= 30 && msg !== 'forged'))
    assert.ok(entries.some((entry) => entry.request_id === request_id && entry.msg === 'running'))
  })

  test('tells each change of a life in one line with name, kind, attempt and request id', async (t) => {
    const hive = await openControl(t)
    const { id } = await hive.spawn({ kind: 'fake', name: 'told', request_id: 'r-1' })
    await hive.call('POST', '/services/told/restart?wait=ready')
    await hive.call('DELETE', '/services/told')
    const entries = hive
      .log()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((entry) => entry.id === id)
    for (const entry of entries) {
      assert.deepEqual([entry.service, entry.kind, entry.request_id], ['told', 'fake', 'r-1'], entry.msg)
      assert.equal(typeof entry.attempt, 'number', entry.msg)
    }
    const states = entries.filter(({ state, msg }) => state === msg).map(({ attempt, state }) => `${attempt} ${state}`)
    assert.deepEqual(states, [
      '1 preparing',
      '1 starting',
      '1 running',
      '1 stopping',
      '1 stopped',
      '2 requested',
      '2 preparing',
      '2 starting',
      '2 running',
      '2 stopping',
      '2 stopped',
      '2 removed',
    ])
  })
})
