import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRequestIdForConfig, needsPort, resolveForAttempt } from '../../src/kinds/attempt.ts'
import { literalPrefix, staysInPrefix } from '../../src/kinds/working-dir.ts'
import { boxConfig, nativeConfig, strict } from '../support/kind-texts.ts'

const values = { kind: 'native', service_name: 'cocoon-1', request_id: 'req-1', port: 8080 }

test('resolveForAttempt: a script’s templates are filled in, all else stays', () => {
  const config = nativeConfig({
    command: 'worker',
    args: ['--kind', '{kind}', '--port={port}', '{{x}}'],
    working_dir: '/tmp/cocoons/{service_name}',
    environment: { ID: '{request_id}', PLAIN: 'x' },
  })
  assert.deepEqual(resolveForAttempt(config, values), {
    ...config,
    args: ['--kind', 'native', '--port=8080', '{x}'],
    workingDir: '/tmp/cocoons/cocoon-1',
    environment: { ID: 'req-1', PLAIN: 'x' },
  })
})

test('resolveForAttempt: a container’s templates are filled in, host paths are not', () => {
  const config = {
    ...boxConfig({
      args: ['{port}'],
      port: 80,
      container_name: 'b-{service_name}',
      working_dir: '/w/{kind}',
      volumes: ['v-{request_id}:/v'],
    }),
  }
  const host = { kind: 'host', source: '/srv/{kind}', target: '/h', readOnly: true } as const
  const resolved = resolveForAttempt({ ...config, volumes: [...config.volumes, host] }, values)
  assert.deepEqual(resolved, {
    ...config,
    args: ['8080'],
    containerName: 'b-cocoon-1',
    workingDir: '/w/native',
    volumes: [{ kind: 'volume', source: 'v-req-1', target: '/v', readOnly: false }, host],
  })
})

test('K15 resolveForAttempt: each argument stays one element, whatever the values look like', () => {
  const config = nativeConfig({ args: ['--kind', '{kind}', '{request_id}'] })
  const request_id = '-x $(touch /tmp/x) `id` "a b"\n; rm'
  assert.deepEqual(resolveForAttempt(config, { ...values, request_id }).args, ['--kind', 'native', request_id])
})

test('A23 resolveForAttempt: placeholder text inside a value is not expanded', () => {
  const config = nativeConfig({ args: ['{request_id}', '{kind}'], environment: { A: '{request_id}' } })
  const resolved = resolveForAttempt(config, { ...values, request_id: '{port}{{{kind}}}', kind: '{service_name}' })
  assert.deepEqual(resolved.args, ['{port}{{{kind}}}', '{service_name}'])
  assert.equal(resolved.environment['A'], '{port}{{{kind}}}')
})

test('resolveForAttempt: the kind’s own config is left as it was', () => {
  const config = nativeConfig({ args: ['{kind}'] })
  resolveForAttempt(config, values)
  assert.deepEqual(config.args, ['{kind}'])
})

test('resolveForAttempt: without {port} no port is needed, with it a missing one is the caller’s fault', () => {
  assert.equal(resolveForAttempt(nativeConfig({}), { ...values, port: null }).runner, 'script')
  assert.throws(() => resolveForAttempt(nativeConfig({ args: ['{port}'] }), { ...values, port: null }), /\{port\}/)
})

test('K16 resolveForAttempt: a working directory that would leave its literal prefix is refused', () => {
  const config = nativeConfig({ working_dir: '/base/{request_id}/x' })
  for (const request_id of ['..', '../..', '.', '', 'a/../../..', 'a\0'])
    assert.throws(
      () => resolveForAttempt(config, { ...values, request_id }),
      { code: 'HIVE_LAUNCH_REFUSED' },
      request_id,
    )
})

test('needsPort: finds {port} in every field that has placeholders, and no escaped one', () => {
  assert.equal(needsPort(nativeConfig({ args: ['a', 'x{port}'] })), true)
  assert.equal(needsPort(nativeConfig({ environment: { A: '{port}' } })), true)
  assert.equal(needsPort(nativeConfig({ working_dir: '/w/{port}' })), true)
  assert.equal(needsPort(boxConfig({ port: 1, container_name: '{service_name}-{port}' })), true)
  assert.equal(needsPort(boxConfig({ port: 1, volumes: ['v{port}:/v'] })), true)
  assert.equal(needsPort(nativeConfig({ args: ['{{port}}', '{PORT}', '{kind}'] })), false)
  assert.equal(needsPort(boxConfig({})), false)
})

test('checkRequestIdForConfig: anything goes where the id enters no name and no path', () => {
  assert.equal(
    checkRequestIdForConfig(nativeConfig({ args: ['{request_id}'], environment: { A: '{request_id}' } }), '../ x'),
    null,
  )
})

const named = {
  'a working directory': nativeConfig({ working_dir: '/w/{request_id}' }),
  'a container name': boxConfig({ container_name: 'c-{request_id}' }),
  'a volume name': boxConfig({ volumes: ['a:/a', 'v-{request_id}:/v'] }, strict, 'podman'),
}

for (const [what, config] of Object.entries(named)) {
  test(`K16 checkRequestIdForConfig: in ${what} the id must be a name`, () => {
    for (const id of ['req-123', 'a', `x${'y'.repeat(127)}`, 'A._-9'])
      assert.equal(checkRequestIdForConfig(config, id), null, id)
    for (const id of ['', '..', '.a', '-a', 'a/b', '{port}', 'a b', `x${'y'.repeat(128)}`, 'a\n', 'ä'])
      assert.match(checkRequestIdForConfig(config, id) ?? 'accepted', /request_id/, id)
  })
}

test('literalPrefix: the directory before the first placeholder, or the whole path', () => {
  const prefixes = {
    '/tmp/cocoons/{service_name}': '/tmp/cocoons',
    '/srv/a-{kind}/x': '/srv',
    '/srv/app': '/srv/app',
    '/a/{{x}}/{kind}': '/a/{x}',
    '/{kind}': '/',
  }
  for (const [template, prefix] of Object.entries(prefixes)) assert.equal(literalPrefix(template), prefix, template)
})

test('staysInPrefix: compares whole segments', () => {
  assert.equal(staysInPrefix('/base/x', '/base/{kind}'), true)
  assert.equal(staysInPrefix('/base-x', '/base/{kind}'), false)
  assert.equal(staysInPrefix('/base/../x', '/base/{kind}'), false)
})
