import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { suite, type TestContext, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { openHive, type TestHive } from '../support/hive.ts'

/** What a request brings into a real process: one argument or one variable each, never a shell, a path or a template. */

/** Answers its arguments after the first two, its environment and its working directory as JSON. */
const TELL = `require('node:http').createServer((q, r) => r.end(JSON.stringify({
  args: process.argv.slice(1), env: process.env, cwd: process.cwd() }))).listen(process.env.PORT, '127.0.0.1')`

const kind = (id: string, more: object = {}, args: readonly string[] = []) => ({
  id,
  runner_type: 'script',
  runner_config: { command: process.execPath, args: ['-e', TELL, '--', ...args], ...more },
})

interface Told {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

async function told(
  t: TestContext,
  kinds: readonly unknown[],
  body: Record<string, unknown>,
): Promise<Told & { hive: TestHive }> {
  const hive = await openHive(t, { kinds })
  return { ...(await spawned(hive, body)), hive }
}

async function spawned(hive: TestHive, body: Record<string, unknown>): Promise<Told> {
  const { name } = await hive.spawn(body)
  // Without a declared port it is ready before it listens.
  const text = await until(
    async () => {
      const answer = await hive.call('GET', `/cocoons/${name}/`)
      return answer.status === 200 ? answer.text : ''
    },
    20_000,
    'the cocoon answers',
  )
  return JSON.parse(text) as Told
}

const NASTY = [
  '$(touch pwned)',
  '`touch pwned`',
  '; touch pwned',
  '"\'\\',
  '-x',
  '--',
  '* ?',
  'a\tb',
  '{kind}',
  '{{port}}',
  '$HOME',
  '%s %n',
  '\u{1f41d}',
  ' ',
]

suite('what a request brings into a script', () => {
  test('A19: a name that loads code is refused although the kind itself may set it', async (t) => {
    const kinds = [
      kind('own', {
        environment: { NODE_OPTIONS: '--no-warnings', LD_DEBUG_OUTPUT: '/dev/null' },
        accept_environment: ['*'],
      }),
    ]
    const { env, hive } = await told(t, kinds, { kind: 'own' })
    assert.equal(env['NODE_OPTIONS'], '--no-warnings')
    const refused = await hive.call('POST', '/spawn', {
      kind: 'own',
      environment: { NODE_OPTIONS: '--require=/tmp/x.js' },
    })
    assert.equal(refused.status, 400)
  })

  test('A20: values arrive byte by byte, line breaks and quotes included, and no shell reads them', async (t) => {
    const environment = Object.fromEntries(
      [...NASTY, 'two\nlines\n', 'a=b', "'\n'", '\n', ''].map((value, at) => [`N${at}`, value]),
    )
    const { env, cwd, hive } = await told(t, [kind('any')], {
      kind: 'any',
      environment,
      setup_token: '$(touch pwned)\n`id`',
    })
    for (const [name, value] of Object.entries(environment)) assert.equal(env[name], value, name)
    assert.equal(env['COCOON_SETUP_TOKEN'], '$(touch pwned)\n`id`')
    assert.ok(!(await readdir(cwd)).includes('pwned'))
    assert.ok(!(await readdir(hive.directory, { recursive: true })).some((file) => file.endsWith('pwned')))
  })

  test('A21: nothing of Hive’s own environment reaches a script', async (t) => {
    process.env['HIVE_PLANTED'] = 'planted'
    t.after(() => delete process.env['HIVE_PLANTED'])
    const { env } = await told(t, [kind('any')], { kind: 'any', name: 'bare' })
    const known =
      /^(?:COCOON_(?:SECRET|KIND|NAME|REQUEST_ID)|PORT|HIVE_URL_PREFIX|PATH|HOME|LANG|TZ|TMPDIR|PWD|OLDPWD|SHLVL|_|HIVE_COCOON\w*|__\w+)$/
    assert.deepEqual(
      Object.keys(env).filter((name) => !known.test(name)),
      [],
    )
    assert.deepEqual([env['COCOON_KIND'], env['COCOON_NAME'], env['HIVE_URL_PREFIX']], ['any', 'bare', '/cocoons/bare'])
  })

  test('A22: a request id is one argument whatever it holds, and in a path only if it is a plain name', async (t) => {
    const hive = await openHive(t, {
      kinds: [
        kind('arg', {}, ['{request_id}', 'last']),
        kind('path', { working_dir: '/tmp/hive-test-never/{request_id}' }),
      ],
    })
    for (const request_id of ['../../x', '{service_name}', '$(touch pwned)', '--inspect', "'", '\u{1f41d} b']) {
      const { args, env } = await spawned(hive, { kind: 'arg', request_id })
      assert.deepEqual(args.slice(-2), [request_id, 'last'])
      assert.equal(env['COCOON_REQUEST_ID'], request_id)
    }
    for (const request_id of ['../../y', '..', '.', '/x', 'a/b', 'a\\b/..', '{kind}', '-x', ' x', 'x'.repeat(129)]) {
      const { status, body } = await hive.call('POST', '/spawn', { kind: 'path', request_id })
      assert.deepEqual([status, body.errors?.[0]?.pointer], [400, '/request_id'], request_id)
    }
  })

  test('A23: what a placeholder brings in is not read again', async (t) => {
    const environment = { TEMPLATE: '{kind} {service_name} {request_id} {{kind}}' }
    const kinds = [kind('k', { environment }, ['{request_id}', '{kind}-{service_name}', '{{kind}}', '{Kind}'])]
    const { args, env } = await told(t, kinds, {
      kind: 'k',
      name: 'n',
      request_id: '{kind}',
      environment: { GIVEN: '{kind} {port} {{x}}' },
    })
    assert.deepEqual(args.slice(-4), ['{kind}', 'k-n', '{kind}', '{Kind}'])
    assert.equal(env['TEMPLATE'], 'k n {kind} {kind}')
    assert.equal(env['GIVEN'], '{kind} {port} {{x}}')
    assert.equal(env['COCOON_REQUEST_ID'], '{kind}')
  })

  test('A23: a name made of placeholders is no name, and an id made of them no kind', async (t) => {
    const hive = await openHive(t, { kinds: [kind('k')] })
    assert.equal((await hive.call('POST', '/spawn', { kind: 'k', name: '{kind}' })).status, 400)
    assert.equal((await hive.call('POST', '/spawn', { kind: '{service_name}' })).status, 422)
    await assert.rejects(openHive(t, { kinds: [kind('{service_name}')] }), /COCOON_KINDS entry 1/)
  })

  test('A20: an environment too large for the system is refused as such, not as a crash', async (t) => {
    const hive = await openHive(t, { kinds: [kind('any')] })
    const environment = Object.fromEntries(Array.from({ length: 7 }, (_, at) => [`N${at}`, 'x'.repeat(32_768)]))
    const { status, body } = await hive.call('POST', '/spawn?wait=ready', { kind: 'any', environment })
    assert.ok(status === 201 || (status === 424 && /too large/.test(body.detail)), `${status} ${JSON.stringify(body)}`)
    assert.doesNotMatch(hive.log(), /"level":(?:50|60)/)
  })
})
