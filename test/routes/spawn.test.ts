import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import type { FieldProblem } from '../../src/errors.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { assertProblem, openControl } from '../support/control.ts'
import { until } from '../support/deadline.ts'

suite('POST /spawn', () => {
  test('answers 202 with the record, where it is and its revision, once it is durable', async (t) => {
    const hive = await openControl(t)
    const release = hive.runner.hold('prepare')
    const { status, headers, body } = await hive.call('POST', '/spawn', {
      type: 'spawn_cocoon',
      kind: 'fake',
      name: 'one',
      labels: { a: 'b' },
    })
    release()
    assert.equal(status, 202)
    assert.equal(headers.get('location'), '/services/one')
    assert.equal(headers.get('etag'), `"${body.revision}"`)
    assert.deepEqual(
      [body.name, body.fqn, body.kind, body.state, body.attempt, body.labels],
      ['one', 'cocoons:one', 'fake', 'requested', 1, { a: 'b' }],
    )
    assert.equal((await hive.call('GET', headers.get('location') ?? '')).body.id, body.id)
  })

  test('a choice that there is not is told with those that there are, once', async (t) => {
    const hive = await openControl(t)
    const errors = async (path: string, body?: object) =>
      (await hive.call(body ? 'POST' : 'GET', path, body)).body.errors.map(({ pointer, detail }: FieldProblem) => [
        pointer,
        detail,
      ])
    assert.deepEqual(await errors('/spawn?wait=foo', { kind: 'fake' }), [['/wait', 'must be one of ready, none']])
    assert.deepEqual(await errors('/services/any?wait=foo'), [
      ['/wait', 'must be one of ready, running, stopped, gone'],
    ])
    assert.deepEqual(await errors('/spawn', { kind: 'fake', type: 'x' }), [['/type', 'must be spawn_cocoon']])
  })

  test('wait=ready answers 201 when it is ready, 202 with Retry-After when it is not in time', async (t) => {
    const hive = await openControl(t)
    const ready = await hive.call('POST', '/spawn?wait=ready', { kind: 'fake' })
    assert.equal(ready.status, 201)
    assert.deepEqual([ready.body.state, ready.body.ready], ['running', true])
    const release = hive.runner.hold('prepare')
    const late = await hive.call('POST', '/spawn?wait=ready&timeout_s=0.05', { kind: 'fake' })
    release()
    assert.equal(late.status, 202)
    assert.match(late.headers.get('retry-after') ?? '', /^\d+$/)
    assert.equal(late.headers.get('location'), `/services/${late.body.name}`)
  })

  test('wait=ready answers 424 with the record when it cannot be ready any more', async (t) => {
    const hive = await openControl(t)
    hive.runner.failNext('start', new LaunchRefused('there is no such command'))
    const { status, headers, body } = await hive.call('POST', '/spawn?wait=ready', { kind: 'fake', name: 'bad' })
    assert.deepEqual(
      [status, body.code, body.service.name, body.service.state],
      [424, 'HIVE_START_FAILED', 'bad', 'rejected'],
    )
    assert.match(body.detail, /no such command/)
    assert.equal(headers.get('location'), '/services/bad')
  })

  test('a name in use is 409 with the record that has it, and free again after its removal', async (t) => {
    const hive = await openControl(t)
    const first = await hive.spawn({ kind: 'fake', name: 'taken' })
    const { status, body } = await hive.call('POST', '/spawn', { kind: 'fake', name: 'taken' })
    assert.deepEqual([status, body.code, body.service.id], [409, 'HIVE_NAME_TAKEN', first.id])
    await hive.call('DELETE', '/services/taken')
    const second = await hive.spawn({ kind: 'fake', name: 'taken' })
    assert.notEqual(second.id, first.id)
  })

  test('F15: of 50 spawns of one name at once one is made and 49 are 409', async (t) => {
    const hive = await openControl(t)
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => hive.call('POST', '/spawn', { kind: 'fake', name: 'one' })),
    )
    const statuses = answers.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [202, ...Array.from({ length: 49 }, () => 409)])
    assert.equal((await hive.call('GET', '/services')).body.services.length, 1)
  })

  test('F14: of 50 spawns with one request id at once one is made, and all get it; another body is 409', async (t) => {
    const hive = await openControl(t)
    const body = { kind: 'fake', request_id: 'req-1', environment: { A: 'x', B: 'y' } }
    const answers = await Promise.all(Array.from({ length: 50 }, () => hive.call('POST', '/spawn', body)))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array.from({ length: 49 }, () => 200), 202])
    assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1)
    const again = await hive.call('POST', '/spawn?wait=ready', {
      environment: { B: 'y', A: 'x' },
      request_id: 'req-1',
      kind: 'fake',
    })
    assert.deepEqual([again.status, again.body.id, again.body.state], [200, answers[0]?.body.id, 'running'])
    for (const other of [
      { ...body, kind: 'plain' },
      { ...body, name: 'x' },
      { ...body, environment: { A: 'x' } },
      { ...body, setup_token: 't' },
    ]) {
      const { status, body: problem } = await hive.call('POST', '/spawn', other)
      assert.deepEqual([status, problem.code], [409, 'HIVE_REQUEST_ID_REUSED'])
    }
    await hive.call('DELETE', `/services/${again.body.name}`)
    const after = await hive.call('POST', '/spawn', body)
    assert.deepEqual([after.status, after.body.id, after.body.state], [200, again.body.id, 'removed'])
  })

  test('A17: a kind that is none is 422 or 400, and the answer repeats no kind and no long text', async (t) => {
    const hive = await openControl(t)
    for (const kind of ['nope', '__proto__', 'constructor', 'FAKE', 'fake ', 'fake\t', '{kind}', '../fake', 'toString'])
      assert.deepEqual(await code(hive.call('POST', '/spawn', { kind })), [422, 'HIVE_KIND_UNKNOWN'])
    for (const kind of [['fake'], { id: 'fake' }, null, '', 'x'.repeat(64)])
      assert.deepEqual(await code(hive.call('POST', '/spawn', { kind })), [400, 'HIVE_REQUEST_INVALID'])
    const long = 'x'.repeat(200_000)
    const answer = await hive.raw(
      'POST /spawn HTTP/1.1',
      ['Host: localhost', hive.bearer, 'Content-Type: application/json', `Content-Length: ${long.length + 11}`],
      `{"kind":"${long}"}`,
    )
    assertProblem(answer, 400, 'HIVE_REQUEST_INVALID', long)
  })

  test('A18: what a kind says cannot be said by a request', async (t) => {
    const hive = await openControl(t)
    const fields = {
      runner_config: { image: 'x' },
      runner_type: 'docker',
      image: 'x',
      command: 'sh',
      args: [],
      volumes: [],
      ports: [],
      privileged: true,
      user: 'root',
      id: 'x',
      desired: 'stopped',
    }
    for (const [field, value] of Object.entries(fields)) {
      const { status, body } = await hive.call('POST', '/spawn', { kind: 'fake', [field]: value })
      assert.deepEqual([status, body.errors], [400, [{ pointer: `/${field}`, detail: 'is not a known field' }]])
    }
  })

  test('A19: loader switches, Hive’s own names and what is no name are refused even where a kind accepts all', async (t) => {
    const hive = await openControl(t)
    const never = [
      'LD_PRELOAD',
      'LD_LIBRARY_PATH',
      'DYLD_INSERT_LIBRARIES',
      'NODE_OPTIONS',
      'PYTHONPATH',
      'PERL5LIB',
      'RUBYOPT',
      'JAVA_TOOL_OPTIONS',
      'GIT_SSH_COMMAND',
      'BASH_ENV',
      'ENV',
      'PATH',
      'HOME',
    ]
    const own = [
      'COCOON_SECRET',
      'COCOON_SETUP_TOKEN',
      'COCOON_KIND',
      'SIGNALING_SERVER_URL',
      'PORT',
      'PORT_X',
      'HIVE_URL_PREFIX',
    ]
    const none = ['A=B', '', 'A\nB', '1A', 'A-B', 'A B', 'A\u0000', 'ä', 'A'.repeat(300)]
    for (const name of [...never, ...own, ...none])
      assert.deepEqual(
        await code(hive.call('POST', '/spawn', { kind: 'fake', environment: { [name]: 'x' } })),
        [400, 'HIVE_REQUEST_INVALID'],
        name,
      )
    assert.equal(
      (await hive.call('POST', '/spawn', { kind: 'fake', environment: { MY_NAME: 'x', path: 'y' } })).status,
      202,
    )
    const refused = await hive.call('POST', '/spawn', { kind: 'plain', environment: { MY_NAME: 'x' } })
    assert.equal(refused.status, 400)
    assert.match(refused.body.errors[0].detail, /accept_environment/)
  })

  test('A20: values over 32 KB, over 128 names and NUL are refused', async (t) => {
    const hive = await openControl(t)
    const environment = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`N${at}`, 'x']))
    for (const wrong of [{ A: 'x'.repeat(32_769) }, { A: 'a\0b' }, environment(129)])
      assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', environment: wrong })).status, 400)
    for (const right of [{ A: 'x'.repeat(32_768) }, { A: 'a\nb' }, { A: '' }, environment(128)])
      assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', environment: right })).status, 202)
  })

  test('A22: a request id is opaque text of up to 256 characters, without control characters', async (t) => {
    const hive = await openControl(t)
    for (const request_id of [
      '',
      'x'.repeat(257),
      'x'.repeat(1_024),
      'a\nb',
      'a\r\nb',
      '\u001b[2J',
      'a\u007f',
      '\u009b2J',
      'a\u2028b',
    ])
      assert.equal(
        (await hive.call('POST', '/spawn', { kind: 'fake', request_id })).status,
        400,
        JSON.stringify(request_id),
      )
    for (const request_id of [
      '../../x',
      '{service_name}',
      '__proto__',
      ' ',
      '$(id)',
      '\u{1f41d}',
      'x'.repeat(256),
      '%2e%2e',
    ])
      assert.equal((await hive.call('POST', '/spawn', { kind: 'fake', request_id })).body.request_id, request_id)
  })

  test('A32: of 100 spawns at once with HIVE_MAX_COCOONS=10 exactly 10 are made, the others are 429 and leave nothing', async (t) => {
    const hive = await openControl(t, { env: { HIVE_MAX_COCOONS: '10' } })
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        hive.call('POST', '/spawn', { kind: 'fake', name: `n${at}`, request_id: `r${at}` }),
      ),
    )
    assert.equal(answers.filter(({ status }) => status === 202).length, 10)
    const refused = answers.filter(({ status }) => status !== 202)
    assert.equal(refused.length, 90)
    for (const { status, body, headers } of refused) {
      assert.deepEqual([status, body.code], [429, 'HIVE_CAPACITY'])
      assert.match(headers.get('retry-after') ?? '', /^\d+$/)
    }
    assert.equal((await hive.call('GET', '/services?include=removed&limit=1000')).body.services.length, 10)
    const made = answers.filter(({ status }) => status === 202).map(({ body }) => body.id)
    await until(() => made.every((id) => hive.runner.running(id) === 1), 10_000, 'all run')
    assert.equal(hive.runner.calls.filter((call) => call.startsWith('start ')).length, 10)
    const at = answers.findIndex(({ status }) => status === 429)
    await hive.call('DELETE', `/services/${answers.find(({ status }) => status === 202)?.body.name}`)
    const later = await hive.call('POST', '/spawn', { kind: 'fake', name: `n${at}`, request_id: `r${at}` })
    assert.equal(later.status, 202, 'the refused name and request id were not kept')
  })

  test('A32: starting again counts as a spawn does: no more than HIVE_MAX_COCOONS are active', async (t) => {
    const hive = await openControl(t, { env: { HIVE_MAX_COCOONS: '2' } })
    for (const name of ['a', 'b']) {
      await hive.spawn({ kind: 'fake', name })
      await hive.call('POST', `/services/${name}/stop?wait=stopped`)
    }
    for (const name of ['c', 'd']) await hive.spawn({ kind: 'fake', name })
    const { status, body, headers } = await hive.call('POST', '/services/a/start')
    assert.deepEqual([status, body.code], [429, 'HIVE_CAPACITY'])
    assert.match(headers.get('retry-after') ?? '', /^\d+$/)
    assert.equal((await hive.call('GET', '/services/a')).body.state, 'stopped')
    assert.equal((await hive.call('POST', '/services/c/restart?wait=ready')).status, 200, 'what is active may restart')
  })

  test('a runner that is down is 503 with Retry-After and no record', async (t) => {
    const hive = await openControl(t)
    hive.runner.unreachable = true
    await hive.app.runners.refresh()
    const { status, body, headers } = await hive.call('POST', '/spawn', { kind: 'fake' })
    assert.deepEqual([status, body.code], [503, 'HIVE_RUNNER_UNAVAILABLE'])
    assert.match(headers.get('retry-after') ?? '', /^\d+$/)
    hive.runner.unreachable = false
    assert.deepEqual((await hive.call('GET', '/services?include=removed')).body.services, [])
  })
})

async function code(answer: Promise<{ readonly status: number; readonly body: { readonly code: string } }>) {
  const { status, body } = await answer
  return [status, body.code]
}
