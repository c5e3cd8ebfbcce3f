import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HiveError } from '../../src/errors.ts'
import { Secret } from '../../src/secret.ts'
import { DIALECTS } from '../../src/signaling/dialect.ts'
import { failedStart, refusedSpawn } from '../../src/signaling/failure-text.ts'
import { readFrame, shown } from '../../src/signaling/frame.ts'
import { loopbackTarget } from '../../src/signaling/reach.ts'
import { failed, readRequest, resultMessage } from '../../src/signaling/request.ts'
import { signHiveId } from '../../src/signaling/signature.ts'
import { cocoonUrl, hiveUrl, roleIn, shownUrl } from '../../src/signaling/url.ts'
import { rowIn } from '../support/service-row.ts'

test('1.2: the signature is the HMAC of the vectors', () => {
  const vectors = [
    ['secret', 'hive-001', '953e6c90911fadcecd1ebf3df9df57c7be408766521decbb0ba0a415137d88f7'],
    ['test-hive-secret', 'hive', '2611614faffe073a30640b859fb497906a4c16150ec8eafb87825f493efbcfc4'],
  ] as const
  for (const [key, id, signature] of vectors) assert.equal(signHiveId(new Secret(key), id), signature)
})

test('4.2: a hive dials with its role once, and cocoons are given the URL without it, otherwise as it was written', () => {
  const table = [
    // configured, dialled in generation 2, given to cocoons
    ['ws://h/ws', 'ws://h/ws?kind=hive', 'ws://h/ws'],
    ['ws://h/ws?kind=hive', 'ws://h/ws?kind=hive', 'ws://h/ws'],
    ['ws://h/ws?a=%2F&kind=hive&b', 'ws://h/ws?a=%2F&kind=hive&b', 'ws://h/ws?a=%2F&b'],
    ['ws://h/ws?%6bind=hive', 'ws://h/ws?%6bind=hive', 'ws://h/ws'],
    ['ws://h/ws?kind=app', 'ws://h/ws?kind=hive', 'ws://h/ws?kind=app'],
    ['ws://h/ws?kind=cocoon&x=1', 'ws://h/ws?x=1&kind=hive', 'ws://h/ws?kind=cocoon&x=1'],
    ['wss://h:1/kind=hive?kinds=hive', 'wss://h:1/kind=hive?kinds=hive&kind=hive', 'wss://h:1/kind=hive?kinds=hive'],
  ] as const
  for (const [url, dialled, given] of table) {
    assert.equal(hiveUrl(url, 1), url, 'generation 1 knows no roles')
    assert.equal(hiveUrl(url, 2), dialled)
    assert.equal(cocoonUrl(url), given)
  }
  assert.equal(roleIn('ws://h/ws?kind=hive'), 'hive')
  assert.equal(roleIn('ws://h/ws'), null)
  assert.equal(shownUrl('wss://user:pass@h:1/ws?token=x'), 'wss://h:1/ws')
})

test('4.2: a URL on loopback is known in every spelling', () => {
  assert.deepEqual(loopbackTarget('ws://localhost:8080/ws'), { host: 'localhost', port: 8080 })
  assert.deepEqual(loopbackTarget('ws://127.8.9.1/ws'), { host: '127.8.9.1', port: 80 })
  assert.deepEqual(loopbackTarget('wss://[::1]/ws'), { host: '::1', port: 443 })
  assert.deepEqual(loopbackTarget('ws://signal.localhost:1'), { host: 'signal.localhost', port: 1 })
  for (const url of ['ws://192.0.2.1/ws', 'wss://signal.example', 'ws://localhost.example', 'ws://[2001:db8::1]:1'])
    assert.equal(loopbackTarget(url), null)
})

test('1.0: only JSON objects with a text as type are messages', () => {
  const fault = (text: string | Buffer, isBinary = false) => {
    const frame = readFrame(Buffer.from(text as string), isBinary)
    return 'fault' in frame ? frame.fault : null
  }
  for (const text of ['', '{', 'null', '1', '"x"', '[]', '[{"type":"x"}]', '{}', '{"type":1}', '{"type":null}'])
    assert.notEqual(fault(text), null, text)
  assert.equal(fault('{"type":"x"}', true), 'a binary frame')
  assert.match(fault(`{"type":"x","pad":"${'x'.repeat(1024 * 1024)}"}`) ?? '', /more than 1048576 bytes/)
  assert.match(fault('{"__proto__":{"type":"x"}}') ?? '', /without a type/)
  assert.equal(fault(`{"type":"x","deep":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), null)
  assert.deepEqual(readFrame(Buffer.from('{"more":1,"type":"x"}'), false), {
    message: { type: 'x', body: { more: 1, type: 'x' } },
  })
})

const read = (body: Record<string, unknown>, generation: 1 | 2 = 1) =>
  readRequest(DIALECTS[generation], { type: String(body['type']), body })

test('1.1, 1.5: spawn and terminate are read in the words of their generation only', () => {
  const spawn = { request_id: 'req-123', kind: 'native', setup_token: 'token-abc', name: 'worker-1', extra: {} }
  const asked = { type: 'spawn', requestId: 'req-123', kind: 'native', name: 'worker-1', setupToken: 'token-abc' }
  assert.deepEqual(read({ type: 'spawn_cocoon', ...spawn }), { asked })
  assert.deepEqual(read({ type: 'hive_spawn_cocoon', ...spawn }, 2), { asked })
  assert.equal(read({ type: 'hive_spawn_cocoon', ...spawn }), null)
  assert.equal(read({ type: 'spawn_cocoon', ...spawn }, 2), null)
  assert.deepEqual(read({ type: 'terminate_cocoon', request_id: 'r', container_id: 'cocoons:a' }), {
    asked: { type: 'terminate', requestId: 'r', target: 'cocoons:a' },
  })
})

test('1.0: null counts as absent, and so does an empty setup token', () => {
  for (const setup_token of [null, undefined, ''])
    assert.deepEqual(read({ type: 'spawn_cocoon', request_id: 'r', kind: 'k', name: null, setup_token }), {
      asked: { type: 'spawn', requestId: 'r', kind: 'k', name: null, setupToken: null },
    })
})

test('a request that cannot be done is answered, one without a usable id cannot be', () => {
  const bad: readonly Record<string, unknown>[] = [
    {},
    { kind: 1 },
    { kind: '' },
    { kind: 'k'.repeat(64) },
    { kind: 'k', name: 'Not A Label' },
    { kind: 'k', name: 'a--b' },
    { kind: 'k', name: '' },
    { kind: 'k', name: ['x'] },
    { kind: 'k', setup_token: 7 },
    { kind: 'k', setup_token: 'secret\u0000token' },
    { kind: 'k', setup_token: 't'.repeat(8193) },
    { kind: 'k', setup_token: '\ud800' },
  ]
  for (const body of bad) {
    const answer = read({ type: 'spawn_cocoon', request_id: 'r', ...body })
    assert.ok(answer !== null && 'refused' in answer, JSON.stringify(body))
    assert.match(answer.refused.error ?? '', /^create service failed: (?:\/|must have)/)
    assert.doesNotMatch(answer.refused.error ?? '', /secret|tttt/)
  }
  for (const request_id of [undefined, null, '', 5, {}, 'x'.repeat(257), 'a\nb', '\udc00'])
    assert.ok('fault' in (read({ type: 'spawn_cocoon', request_id, kind: 'k' }) ?? {}), String(request_id))
  const nameless = read({ type: 'terminate_cocoon', request_id: 'r', container_id: {} })
  assert.ok(nameless !== null && 'refused' in nameless)
})

test('1.1: a result leaves out what is absent, device_id always', () => {
  assert.deepEqual(resultMessage(DIALECTS[1], failed('spawn', 'r', 'why')), {
    type: 'spawn_cocoon_result',
    request_id: 'r',
    success: false,
    error: 'why',
  })
  const done = { type: 'terminate', requestId: 'r', success: true, containerId: null, error: null } as const
  assert.deepEqual(resultMessage(DIALECTS[2], done), {
    type: 'hive_terminate_cocoon_result',
    request_id: 'r',
    success: true,
  })
})

test('1.7: failures carry the documented texts', () => {
  const text = (...[code, detail]: ConstructorParameters<typeof HiveError>) =>
    refusedSpawn(new HiveError(code, detail ?? ''), 'gpu', 7)
  assert.equal(text('HIVE_KIND_UNKNOWN', ''), 'unknown cocoon kind: gpu')
  assert.equal(text('HIVE_CAPACITY', ''), 'concurrency limit reached (max 7)')
  assert.equal(text('HIVE_NAME_TAKEN', 'x is in use'), 'create service failed: The name is taken: x is in use')
  assert.match(refusedSpawn(new Error('inner secret'), 'gpu', 7), /^create service failed: something went wrong/)
  const ended = rowIn('rejected')
  assert.equal(failedStart(ended), `start service failed: ${ended.record.error?.detail}`)
  assert.match(failedStart(rowIn('removed')), /^start service failed: /)
})

test('text from outside is shown short and without anything that steers a terminal', () => {
  assert.equal(shown('a\u001b[31m\nb\ud800'), 'a?[31m?b�')
  assert.equal(shown('x'.repeat(500)).length, 201)
  assert.equal(shown({ a: 1 }), '{"a":1}')
  assert.equal(shown(undefined), '')
})
