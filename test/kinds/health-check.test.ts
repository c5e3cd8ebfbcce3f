import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveForAttempt } from '../../src/kinds/attempt.ts'
import { boxConfig, boxText, nativeConfig, nativeText, problemsOf } from '../support/kind-texts.ts'

const DEFAULTS = {
  path: '/',
  port: null,
  command: [],
  intervalMs: 10_000,
  timeoutMs: 5_000,
  retries: 3,
  startPeriodMs: 0,
}

test('health_check: one check or a list, with the defaults of the design', () => {
  assert.deepEqual(nativeConfig({ health_check: { type: 'http' } }).healthChecks, [{ ...DEFAULTS, type: 'http' }])
  const list = [
    { type: 'http', path: '/up', interval: '1s', timeout: '200ms', retries: 1, start_period: '3s' },
    { type: 'cmd', command: ['/bin/check', '{service_name}'] },
  ]
  assert.deepEqual(boxConfig({ health_check: list }).healthChecks, [
    { ...DEFAULTS, type: 'http', path: '/up', intervalMs: 1_000, timeoutMs: 200, retries: 1, startPeriodMs: 3_000 },
    { ...DEFAULTS, type: 'cmd', command: ['/bin/check', '{service_name}'] },
  ])
})

test('health_check: a path and a command take placeholders', () => {
  const config = nativeConfig({ health_check: [{ type: 'http', path: '/up/{service_name}?p={port}' }] })
  const values = { kind: 'native', service_name: 'web', request_id: 'r', port: 2000 }
  assert.equal(resolveForAttempt(config, values).healthChecks[0]?.path, '/up/web?p=2000')
})

const refused: readonly (readonly [unknown, string])[] = [
  ['http', 'health_check'],
  [{}, 'health_check'],
  [{ type: 'udp' }, 'health_check.type'],
  [[1], 'health_check[0]'],
  [{ type: 'tcp', every: 1 }, 'health_check'],
  [{ type: 'cmd' }, 'health_check.command'],
  [{ type: 'cmd', command: [] }, 'health_check.command'],
  [{ type: 'cmd', command: 'sh -c x' }, 'health_check.command'],
  [{ type: 'cmd', command: ['x'], port: 80 }, 'health_check.port'],
  [{ type: 'tcp', path: '/x' }, 'health_check.path'],
  [{ type: 'http', command: ['x'] }, 'health_check.command'],
  [{ type: 'http', path: 'x' }, 'health_check.path'],
  [{ type: 'http', path: '/a b' }, 'health_check.path'],
  [{ type: 'http', path: '/{nobody}' }, 'health_check.path'],
  [{ type: 'tcp', interval: '0s' }, 'health_check.interval'],
  [{ type: 'tcp', timeout: '0s' }, 'health_check.timeout'],
  [{ type: 'tcp', retries: 0 }, 'health_check.retries'],
  [{ type: 'tcp', start_period: 'soon' }, 'health_check.start_period'],
  [Array.from({ length: 17 }, () => ({ type: 'tcp' })), 'health_check'],
]

for (const [value, field] of refused) {
  test(`health_check: ${JSON.stringify(value).slice(0, 60)} is refused by entry and field`, () => {
    for (const text of [boxText, nativeText]) {
      const problems = problemsOf(text({ health_check: value }))
      assert.ok(
        problems.some((problem) => problem.entry === 1 && problem.field === field),
        JSON.stringify(problems),
      )
    }
  })
}

test('health_check: a cmd check of a sandboxed script is taken: it runs inside', () => {
  const cmd = { type: 'cmd', command: ['x'] }
  for (const sandbox of ['none', 'bubblewrap', 'firejail'])
    nativeConfig({ sandbox, health_check: [{ type: 'tcp' }, cmd] })
})

test('health_check: a container’s port must be a declared one, a script’s is Hive’s choice', () => {
  const check = { type: 'tcp', port: 81 }
  for (const fields of [{}, { port: 80 }, { ports: ['80', '9000:8081'] }]) {
    const [problem, ...more] = problemsOf(boxText({ ...fields, health_check: check }))
    assert.deepEqual([problem?.field, more.length], ['health_check.port', 0])
  }
  boxConfig({ ports: ['80', '9000:81'], health_check: [{ type: 'tcp' }, check] })
  boxConfig({ port: 81, health_check: check })
  assert.equal(
    problemsOf(nativeText({ port: 81, health_check: [{ type: 'tcp' }, check] }))[0]?.field,
    'health_check[1].port',
  )
})
