import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import test, { suite } from 'node:test'
import { HiveError } from '../../src/errors.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { type ApiDocument, assertDescribed, assertMatches, operationsOf } from '../support/api-document.ts'
import { type ControlHive, openControl } from '../support/control.ts'

const ROOT = new URL('../../', import.meta.url)
const OPEN = ['live', 'ready']

async function committed(): Promise<ApiDocument> {
  return JSON.parse(await readFile(new URL('openapi/hive.v1.json', ROOT), 'utf8'))
}

suite('the OpenAPI document', () => {
  test('the committed one is what the routes say', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/openapi.ts', '--check'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
  })

  test('/openapi.json serves the same but for the version, and /docs reads it without a foreign host', async (t) => {
    const hive = await openControl(t)
    const { body, status } = await hive.call('GET', '/openapi.json')
    assert.equal(status, 200)
    const file = await committed()
    assert.deepEqual(body.paths, file.paths)
    assert.deepEqual(body.components, file.components)
    const page = await hive.call('GET', '/docs/')
    const first = await fetch(`${hive.url}/`, { redirect: 'manual' })
    assert.deepEqual([first.status, first.headers.get('location')], [302, '/docs'])
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/)
    assert.doesNotMatch(page.text, /(?:src|href)="(?:https?:)?\/\//)
  })

  test('/docs has its scripts and its pictures, and answers as the other routes do where it has nothing', async (t) => {
    const hive = await openControl(t)
    const page = await hive.call('GET', '/docs')
    const parts = [...page.text.matchAll(/(?:src|href)="\.?\/?([^"]+)"/g)].map(([, part]) => `/${part}`)
    assert.ok(parts.length > 5, page.text)
    for (const part of parts) {
      const got = await fetch(`${hive.url}${part}`)
      const bytes = (await got.arrayBuffer()).byteLength
      assert.deepEqual([got.status, got.headers.get('content-length')], [200, String(bytes)], part)
      const head = await fetch(`${hive.url}${part}`, { method: 'HEAD' })
      assert.equal(head.headers.get('content-type'), got.headers.get('content-type'))
    }
    const [document, read] = await Promise.all(['/openapi.json', '/docs/json'].map((path) => hive.call('GET', path)))
    assert.deepEqual(read?.body, document?.body)
    for (const path of ['/docs/nothing', '/docs/static/%2e%2e%2fpackage.json']) {
      const { status, body } = await hive.call('GET', path)
      assert.deepEqual([status, body.code], [404, 'HIVE_NOT_FOUND'], path)
    }
    assert.equal((await hive.call('POST', '/docs')).status, 405)
  })

  test('has no cocoon address in it, and a name, a summary and the token for every other operation', async () => {
    const document = await committed()
    assert.match(document.openapi, /^3\.1/)
    const ids = operationsOf(document).map(([, , { operationId }]) => operationId)
    assert.equal(new Set(ids).size, ids.length)
    for (const [method, path, operation] of operationsOf(document)) {
      assert.ok(!path.startsWith('/cocoons'), path)
      assert.ok(operation.operationId, `${method} ${path}`)
      if (OPEN.includes(operation.operationId)) continue
      assert.equal(operation.security, undefined, 'the token of the whole document')
      for (const status of ['400', '401', '421', '500', '503'])
        assert.ok(operation.responses[status], `${method} ${path} ${status}`)
    }
  })

  test('shows an example for every answer and every body, and each fits its own schema', async () => {
    const document = await committed()
    for (const [method, path, operation] of operationsOf(document)) {
      const bodies = Object.entries(operation.responses).map(([status, { content }]) => [status, content] as const)
      if (operation.requestBody) bodies.push(['body', operation.requestBody.content])
      for (const [what, content] of bodies) {
        assert.notDeepEqual(content, {}, `${method} ${path} ${what} says nothing`)
        for (const [type, { schema, example }] of Object.entries(content)) {
          const at = `${method} ${path} ${what} ${type}`
          assert.notEqual(example, undefined, at)
          assertMatches(document, schema, { value: example, at })
          if (type === 'application/problem+json')
            assert.equal((example as { status: number }).status, Number(what), at)
        }
      }
    }
  })
})

interface Call {
  readonly method: string
  readonly path: string
  readonly query?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** Sends a call and holds its answer against the document. */
async function described(hive: ControlHive, { method, path, query = '', body, headers }: Call): Promise<number> {
  const document = await committed()
  const target = path.replace('{name}', 'it').replace('{id}', 'fake') + query
  const answer = await hive.call(method, target, body, headers)
  const contentType = answer.headers.get('content-type') ?? ''
  assertDescribed(document, { method, path, status: answer.status, contentType, body: answer.body ?? answer.text })
  return answer.status
}

suite('every answer is as described', () => {
  const spawn = { method: 'POST', path: '/spawn', body: { kind: 'fake', name: 'it' } }
  const service = { method: 'GET', path: '/services/{name}' }
  const removal = { method: 'DELETE', path: '/services/{name}' }
  const change = (verb: string, query = '', headers?: Record<string, string>): Call => ({
    method: 'POST',
    path: `/services/{name}/${verb}`,
    query,
    ...(headers && { headers }),
  })

  test('along the life of a service', async (t) => {
    const hive = await openControl(t)
    const answered = async (call: Call, status: number) =>
      assert.equal(await described(hive, call), status, JSON.stringify(call))
    await answered({ method: 'GET', path: '/services' }, 200)
    await answered(service, 404)
    await answered(removal, 404)
    await answered(spawn, 202)
    await answered({ ...spawn, body: { ...spawn.body, kind: 'plain' } }, 409)
    await answered({ ...service, query: '?wait=ready' }, 200)
    await answered({ method: 'GET', path: '/services' }, 200)
    for (const verb of ['stop', 'start', 'restart']) {
      await answered(change(verb, `?wait=${verb === 'stop' ? 'stopped' : 'ready'}`), 200)
      await answered(change(verb, '', { 'if-match': '"0"' }), 412)
      await answered(change(verb, '?x=1'), 400)
    }
    const release = hive.runner.hold('stop')
    await answered(change('restart'), 202)
    await answered(change('stop'), 202)
    await answered(change('start'), 202)
    await answered({ ...removal, query: '?wait=none' }, 202)
    await answered(change('start'), 409)
    release()
    await answered(removal, 200)
    await answered(service, 410)
    for (const verb of ['stop', 'start', 'restart']) await answered(change(verb), 410)
    await answered({ method: 'GET', path: '/services', query: '?include=removed' }, 200)
    await answered({ ...spawn, query: '?wait=ready' }, 201)
  })

  test('of spawns that are refused or fail', async (t) => {
    const hive = await openControl(t, { env: { HIVE_MAX_COCOONS: '1' } })
    const answered = async (call: Call, status: number) =>
      assert.equal(await described(hive, call), status, JSON.stringify(call))
    await answered({ ...spawn, body: { kind: 'nope' } }, 422)
    await answered({ ...spawn, body: {} }, 400)
    await answered({ ...spawn, headers: { 'content-type': 'text/plain' } }, 415)
    await answered({ ...spawn, body: { kind: 'x'.repeat(300_000) } }, 413)
    hive.runner.failNext('start', new LaunchRefused('there is no such command'))
    await answered({ ...spawn, query: '?wait=ready' }, 424)
    await answered(removal, 200)
    await answered({ ...spawn, body: { ...spawn.body, request_id: 'r' } }, 202)
    await answered({ ...spawn, body: { ...spawn.body, request_id: 'r' } }, 200)
    await answered({ ...spawn, body: { ...spawn.body, request_id: 'r', labels: { a: 'b' } } }, 409)
    await answered({ ...spawn, body: { kind: 'fake' } }, 429)
    hive.runner.unreachable = true
    await hive.app.runners.refresh()
    await answered({ ...spawn, body: { kind: 'fake' } }, 503)
    hive.runner.unreachable = false
  })

  test('of kinds and health', async (t) => {
    const hive = await openControl(t)
    const answered = async (call: Call, status: number) =>
      assert.equal(await described(hive, call), status, JSON.stringify(call))
    await answered({ method: 'GET', path: '/kinds' }, 200)
    await answered({ method: 'GET', path: '/kinds/{id}' }, 200)
    await answered({ method: 'GET', path: '/livez' }, 200)
    await answered({ method: 'GET', path: '/metrics' }, 200)
    await answered({ method: 'GET', path: '/readyz' }, 200)
    hive.runner.unreachable = true
    await hive.app.runners.refresh()
    await answered({ method: 'GET', path: '/kinds' }, 200)
    await answered({ method: 'GET', path: '/readyz' }, 503)
    hive.runner.unreachable = false
  })

  test('of health, activity, leases and orphans', async (t) => {
    const runner_config = { command: 'x', idle_timeout: '1h', health_check: { type: 'tcp' } }
    const kinds = [
      { id: 'fake', runner_type: 'script', runner_config },
      { id: 'plain', runner_type: 'script', runner_config: { command: 'x' } },
    ]
    const hive = await openControl(t, { kinds }, { behave: () => ({ serve: true }) })
    const answered = async (call: Call, status: number) =>
      assert.equal(await described(hive, call), status, JSON.stringify(call))
    const touch = (seconds: unknown): Call => ({ method: 'POST', path: '/services/{name}/touch', body: { seconds } })
    for (const path of ['/services/{name}/health', '/services/{name}/activity'])
      await answered({ method: 'GET', path }, 404)
    await answered({ ...spawn, query: '?wait=ready' }, 201)
    for (const path of ['/services/{name}/health', '/services/{name}/activity']) {
      await answered({ method: 'GET', path }, 200)
      await answered({ method: 'GET', path, query: '?x=1' }, 400)
    }
    await answered(touch(60), 200)
    await answered({ method: 'GET', path: '/services/{name}/activity' }, 200)
    for (const seconds of [-1, 604_801, '60', null, true, [1], 1e300]) await answered(touch(seconds), 400)
    await answered({ ...touch(1), body: { seconds: 1, forever: true } }, 400)
    await answered({ ...touch(1), body: '{"seconds":1e999}' }, 400)
    await answered({ method: 'GET', path: '/orphans' }, 200)
    await answered({ method: 'POST', path: '/orphans/reap' }, 200)
    for (const query of ['?id=', '?ids=x', '?volumes=1', '?volumes='])
      await answered({ method: 'POST', path: '/orphans/reap', query }, 400)
    await answered({ method: 'POST', path: '/orphans/reap', body: { id: ['x'] } }, 400)
    assert.equal((await hive.call('GET', '/services/it')).body.state, 'running', 'what has a record is no orphan')
    await answered(removal, 200)
    await answered(touch(60), 410)
    await answered({ ...spawn, body: { kind: 'plain', name: 'it' }, query: '?wait=ready' }, 201)
    await answered(touch(60), 409)
  })

  test('without a token and of a foreign host, on every operation', async (t) => {
    const hive = await openControl(t)
    for (const [method, path, { operationId }] of operationsOf(await committed())) {
      if (OPEN.includes(operationId)) continue
      assert.equal(await described(hive, { method, path, headers: { authorization: 'Bearer no' } }), 401, path)
    }
  })

  test('of a table that cannot be written: 507 and 503, and nothing is made or changed', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'it' })
    for (const [code, status] of [
      ['HIVE_STORE_FULL', 507],
      ['HIVE_STORE_FAILED', 503],
    ] as const) {
      const write = t.mock.method(hive.app.serviceTable, 'write', async () =>
        Promise.reject(new HiveError(code, 'the disk')),
      )
      assert.equal(await described(hive, { ...spawn, body: { kind: 'fake', name: 'new', request_id: 'new' } }), status)
      for (const call of [removal, change('stop'), change('restart')]) assert.equal(await described(hive, call), status)
      write.mock.restore()
    }
    assert.equal((await hive.call('GET', '/services')).body.services.length, 1)
    assert.equal((await hive.call('GET', '/services/it')).body.desired, 'running')
    assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', name: 'new', request_id: 'new' })).status, 202)
  })

  test('of a fault inside Hive: 500 without its cause, which only the log has', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'it' })
    const cause = 'planted cause'
    t.mock.method(hive.app.services, 'list', () => assert.fail(cause))
    t.mock.method(hive.app.supervisor, 'spawn', () => Promise.reject(new Error(cause)))
    const intend = t.mock.method(hive.app.supervisor, 'intend', () => Promise.reject(new Error(cause)))
    assert.equal(await described(hive, { method: 'GET', path: '/services' }), 500)
    for (const call of [spawn, removal, change('stop')]) assert.equal(await described(hive, call), 500)
    const { text, body } = await hive.call('POST', '/spawn', spawn.body)
    assert.ok(!text.includes(cause) && !/ at |\.ts/.test(text), text)
    const line = hive
      .log()
      .split('\n')
      .find((one) => one.includes(body.instance))
    assert.match(line ?? '', /planted cause/)
    intend.mock.restore()
    t.mock.restoreAll()
  })
})
