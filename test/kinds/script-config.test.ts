import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RESTART } from '../../src/kinds/restart-policy.ts'
import { complaintsOf, nativeConfig, nativeText, problemsOf } from '../support/kind-texts.ts'

test('a script kind that says nothing gets the defaults of the design', () => {
  assert.deepEqual(nativeConfig({}), {
    runner: 'script',
    environment: {},
    acceptEnvironment: ['*'],
    port: null,
    user: null,
    readyTimeoutMs: 60_000,
    stopGraceMs: 10_000,
    healthChecks: [],
    restart: DEFAULT_RESTART,
    ttlMs: null,
    idleTimeoutMs: null,
    wake: false,
    allowOrigins: [],
    stripPrefix: true,
    expose: null,
    uses: [],
    command: 'worker',
    args: [],
    workingDir: null,
    portNames: [],
    resources: { memoryBytes: null, cpus: null, pids: null, nofile: null, nproc: null },
    sandbox: 'none',
    sha256: null,
  })
})

test('limits, sandbox, digest and an own user of a script are read', () => {
  const digest = 'A'.repeat(64)
  const resources = { memory: '512m', cpus: 1.5, pids: 256, nofile: 1024, nproc: 32 }
  const config = nativeConfig({ sandbox: 'firejail', sha256: digest, user: 'auto', resources })
  assert.equal(config.sandbox, 'firejail')
  assert.equal(config.sha256, digest.toLowerCase())
  assert.equal(config.user, 'auto')
  assert.deepEqual(config.resources, { memoryBytes: 536_870_912, cpus: 1.5, pids: 256, nofile: 1024, nproc: 32 })
})

const wrongValues: Readonly<Record<string, readonly unknown[]>> = {
  resources: [{ memory: 'much' }, { memory: '1k' }, { cpus: 0 }, { pids: 1.5 }, { swap: '1g' }, 5],
  sandbox: ['docker', null, true],
  sha256: ['a'.repeat(63), 'g'.repeat(64), 7],
  user: ['Auto', 'a b', 0],
}

for (const [field, values] of Object.entries(wrongValues)) {
  for (const value of values) {
    test(`${field} ${JSON.stringify(value)} of a script is refused`, () => {
      const [problem] = problemsOf(nativeText({ [field]: value }))
      assert.equal(problem?.field?.split('.')[0], field)
    })
  }
}

const wrongCommands = [
  "sh -c 'rm -rf x'",
  '',
  './x',
  '../x',
  'bin/x',
  '/opt/../x',
  '/opt//x',
  '/opt/',
  '.',
  '..',
  '-c',
  '~/x',
  '"worker"',
  'a\0b',
  'a\nb',
  '{kind}',
  '/opt/{service_name}/x',
]

for (const command of wrongCommands) {
  test(`K14 the command ${JSON.stringify(command)} is refused`, () => {
    const [problem, ...more] = problemsOf(nativeText({ command }))
    assert.equal(problem?.field, 'command')
    assert.equal(more.length, 0)
  })
}

test('K14 a bare name and an absolute path are commands, kept as they are', () => {
  for (const command of ['cocoon-worker', 'node', '/usr/local/bin/cocoon-worker', "/opt/$(x)/it's", 'x{1}'])
    assert.equal(nativeConfig({ command }).command, command)
})

test('K17 args of a wrong type or size are refused, item by item', () => {
  assert.match(complaintsOf(nativeText({ args: '--kind x' })), /args: is a string/)
  assert.match(
    complaintsOf(nativeText({ args: [1, ['a'], 'a\0'] })),
    /args\[0\][\s\S]*args\[1\][\s\S]*args\[2\]: holds a NUL/,
  )
  assert.match(complaintsOf(nativeText({ args: Array(100_000).fill('a') })), /has 100000 items/)
  assert.match(complaintsOf(nativeText({ args: ['x'.repeat(1_000_000)] })), /longer than 131071 bytes/)
})

const wrongDirs = [
  '/base/{service_name}/../../x',
  '/base/./x',
  '/base//x',
  '/base/',
  'base/{service_name}',
  '',
  '/',
  '{service_name}',
  '/{service_name}',
  '/{kind}-x/y',
  '..',
  '/base/{unknown}',
  '/base/{__proto__}',
  '/base\0/x',
]

for (const working_dir of wrongDirs) {
  test(`K16 the working_dir ${JSON.stringify(working_dir)} is refused at load`, () => {
    const [problem] = problemsOf(nativeText({ working_dir }))
    assert.equal(problem?.field, 'working_dir')
  })
}

test('K16 braces that are no placeholder stand for themselves in a working_dir', () => {
  for (const working_dir of ['/base/{', '/base/{{kind}}', '/base/{kind', '/base/{KIND}', '/tmp/cocoons/{service_name}'])
    assert.equal(nativeConfig({ working_dir }).workingDir, working_dir)
})

test('ports of a script are names, and each becomes one variable', () => {
  assert.deepEqual(nativeConfig({ ports: ['metrics', 'Admin_2'] }).portNames, ['metrics', 'Admin_2'])
  for (const name of ['8080', '9000:8080', 'a-b', '', '_x', 'x'.repeat(40)])
    assert.match(complaintsOf(nativeText({ ports: [name] })), /ports\[0\][\s\S]*PORT_METRICS/, name)
  assert.match(complaintsOf(nativeText({ ports: ['a', 'A'] })), /has the name A twice/)
})

test('fields of containers alone are unknown to scripts', () => {
  for (const key of ['image', 'container_name', 'volumes', 'security', 'gpus', 'pull', 'Privileged'])
    assert.match(
      complaintsOf(nativeText({ [key]: 'x' })),
      new RegExp(`"${key}" is not a known field. Right: one of command, args`),
    )
})
