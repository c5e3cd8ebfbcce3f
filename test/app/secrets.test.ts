import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { hive as commandLine } from '../support/command-line.ts'
import { until } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { engineOrSkip, TEST_IMAGES, type TestEngine } from '../support/engines.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { HTTPD } from '../support/script-bench.ts'

/** I7: a planted secret is found nowhere but where it belongs, in the environment of its cocoon. */

interface Planted {
  readonly [what: string]: string
  readonly token: string
  readonly masterKey: string
  readonly signalingSecret: string
  readonly kindValue: string
  readonly sharedValue: string
  readonly sharedSecret: string
  readonly requestValue: string
  readonly setupToken: string
}

type Place = readonly [where: string, text: string]

function plant(): Planted {
  const secret = (what: string) => `planted-${what}-${randomBytes(12).toString('hex')}`
  return {
    token: secret('token'),
    masterKey: randomBytes(32).toString('hex'),
    signalingSecret: secret('signaling'),
    kindValue: secret('kind'),
    sharedValue: secret('shared'),
    sharedSecret: secret('sharing'),
    requestValue: secret('request'),
    setupToken: secret('setup'),
  }
}

const NATIVE = { runner_type: 'script', runner_config: { command: process.execPath, args: [HTTPD] } }

const containerKind = (type: string) => ({
  runner_type: type,
  runner_config: {
    image: TEST_IMAGES.httpd,
    command: '/bin/sh',
    args: ['-c', 'env >/www/env; exec busybox httpd -f -p 8080 -h /www'],
    ports: ['8080'],
    pull: 'never',
  },
})

async function openPlanted(t: TestContext, planted: Planted, engine: TestEngine | null): Promise<TestHive> {
  const base = engine === null ? NATIVE : containerKind(engine.type)
  const environment = { KIND_VALUE: planted.kindValue, PLACED: `${planted.kindValue}-{service_name}` }
  const { sharedValue, sharedSecret: shared } = planted
  const expose = { name: 'shared', secret: shared, vars: { SHARED: `${sharedValue}-{host}` } }
  const uses = [{ name: 'shared', secret: shared }]
  const kinds = [
    { id: 'good', ...base, runner_config: { ...base.runner_config, environment, expose } },
    { id: 'user', ...base, runner_config: { ...base.runner_config, uses } },
    { id: 'bad', ...base, runner_config: { ...base.runner_config, ...broken(engine), environment } },
  ]
  const hosts =
    engine === null ? {} : { [engine.type === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST']: engine.host }
  const { token, masterKey, signalingSecret } = planted
  return openHive(t, {
    kinds,
    env: {
      ...hosts,
      HIVE_TOKEN: token,
      HIVE_MASTER_KEY: masterKey,
      HIVE_SECRET: signalingSecret,
      HIVE_LOG_LEVEL: 'trace',
    },
  })
}

function broken(engine: TestEngine | null): object {
  return engine === null ? { command: '/nonexistent/worker' } : { image: 'localhost/hive-test/none:1' }
}

/** Everything that anybody can be answered, by success and by failure. */
async function answers(hive: TestHive, { requestValue, setupToken, token }: Planted): Promise<Place[]> {
  const secrets = { environment: { REQUEST_VALUE: requestValue }, setup_token: setupToken }
  const body = { kind: 'good', name: 'planted', request_id: 'planted-1', ...secrets }
  const huge = { ...body, setup_token: setupToken.repeat(400) }
  const calls: readonly (readonly [string, string, unknown?, Record<string, string>?])[] = [
    ['POST', '/spawn?wait=ready', body],
    ['POST', '/spawn', body],
    ['POST', '/spawn?wait=ready', { kind: 'user', name: 'user', request_id: 'planted-user' }],
    ['POST', '/spawn', { ...body, request_id: 'planted-2' }],
    ['POST', '/spawn', { ...body, setup_token: `${setupToken}x` }],
    ['POST', '/spawn?wait=ready', { ...body, kind: 'bad', name: 'bad', request_id: 'planted-3' }],
    ['POST', '/spawn', huge],
    ['POST', '/spawn', { ...body, setup_tokn: setupToken }],
    ['POST', '/spawn', { ...body, setup_token: [setupToken] }],
    ['POST', '/spawn', { ...body, setup_token: `${setupToken}\0` }],
    ['POST', '/spawn', { ...body, environment: { REQUEST_VALUE: [requestValue] } }],
    ['POST', '/spawn', { ...body, environment: { LD_PRELOAD: requestValue } }],
    ['POST', '/spawn', { ...body, environment: { REQUEST_VALUE: `${requestValue}\ud800` } }],
    ['POST', '/spawn', { ...body, environment: requestValue }],
    ['POST', '/spawn', `{"kind":"good","setup_token":"${setupToken}",`],
    ['POST', '/spawn', `{"setup_token":${setupToken}}`],
    ['POST', '/spawn', body, { 'content-type': 'text/plain' }],
    ['POST', '/spawn', body, { authorization: `Bearer ${token}x` }],
    ['POST', `/spawn?token=${token}`, body],
    ['GET', `/services?access_token=${token}`],
    ['GET', `/nowhere?token=${token}`],
    ['GET', `/cocoons/nobody/?token=${token}`],
    ['GET', '/services'],
    ['GET', '/services/planted'],
    ['GET', '/services/bad'],
    ['GET', '/kinds'],
    ['GET', '/kinds/good'],
    ['GET', '/kinds/user'],
    ['GET', '/exposed'],
    ['GET', '/services/user'],
    ['GET', '/services/user/post-mortem'],
    ['POST', '/services/user/restart?wait=ready'],
    ['GET', '/metrics'],
    ['GET', '/readyz'],
    ['GET', '/livez'],
    ['GET', '/openapi.json'],
    ['PUT', '/services', body],
    ['POST', '/services/planted/stop', body],
    ['POST', '/services/planted/restart?wait=ready'],
    ['POST', '/services/bad/start?wait=ready'],
    ['GET', '/cocoons/bad/'],
  ]
  const places: Place[] = []
  for (const [method, path, sent, headers] of calls) {
    const answer = await hive.call(method, path, sent, headers)
    places.push([`${method} ${path.replace(token, '…')}`, `${JSON.stringify([...answer.headers])}${answer.text}`])
  }
  return places
}

/** A kind that exposes and one that uses, as the text of COCOON_KINDS. */
function sharing(expose: object, use: object): string {
  const kind = (id: string, fields: object) => ({
    id,
    runner_type: 'script',
    runner_config: { command: 'w', ...fields },
  })
  return JSON.stringify([kind('x', { expose: { name: 'x', ...expose } }), kind('y', { uses: [{ name: 'x', ...use }] })])
}

async function commands(hive: TestHive, planted: Planted): Promise<Place[]> {
  const { token, kindValue, sharedValue, sharedSecret } = planted
  const env = { HIVE_URL: hive.url, HIVE_TOKEN: token }
  const kinds = JSON.stringify([
    {
      id: 'x',
      ...NATIVE,
      runner_config: { ...NATIVE.runner_config, environment: { A: kindValue, B: [kindValue], C: `{${kindValue}}` } },
    },
  ])
  const right = `x:script:{"command":"w","environment":{"A":"${kindValue}"}}`
  const lines = [
    ...[
      ['list'],
      ['kinds'],
      ['show', 'planted'],
      ['show', 'bad'],
      ['show', 'user'],
      ['exposed'],
      ['show', 'nobody'],
      ['spawn', 'bad', '--env', `REQUEST_VALUE=${kindValue}`],
      ['spawn', 'good', '--name', 'planted', '--env', `A=${kindValue}`],
    ].flatMap((argv) => [argv, [...argv, '--json']].map((line) => [line, env] as const)),
    [['kinds', '--check'], { ...env, COCOON_KINDS: kinds }] as const,
    [['kinds', '--check'], { ...env, COCOON_KINDS: right }] as const,
    [['kinds', '--check'], { ...env, COCOON_KINDS: sharing({ secret: sharedSecret }, {}) }] as const,
    [
      ['kinds', '--check'],
      { ...env, COCOON_KINDS: sharing({ secret: [sharedSecret] }, { secret: sharedSecret, as: [sharedSecret] }) },
    ] as const,
    [['kinds', '--check', '--json'], { ...env, COCOON_KINDS: sharing({ vars: { A: sharedValue } }, {}) }] as const,
    [['kinds', '--check', '--json'], { ...env, COCOON_KINDS: right }] as const,
    [['list'], { ...env, HIVE_TOKEN: `${token}x` }] as const,
  ]
  const places: Place[] = []
  for (const [argv, environment] of lines) {
    const { stdout, stderr } = await commandLine(argv, { env: environment })
    assert.notEqual(stdout + stderr, '', argv.join(' '))
    places.push([`hive ${argv[0]} ${argv[1] ?? ''}`, stdout + stderr])
  }
  return places
}

async function files(directory: string): Promise<Place[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const found = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  assert.ok(found.some((file) => file.endsWith('hive.db')))
  return Promise.all(found.map(async (file) => [`file ${file}`, await readFile(file, 'latin1')] as const))
}

async function commandLines(): Promise<Place[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const places = pids.map(
    async (pid) => [`argv of ${pid}`, await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')] as const,
  )
  return Promise.all(places)
}

/** All that the engine says of the container but its environment, where the secrets belong (documented). */
async function inspected(engine: TestEngine | null, id: string | null): Promise<Place[]> {
  if (engine === null) return []
  const { status, body } = await engineRequest(engine.host, 'GET', `/containers/${id}/json`)
  assert.equal(status, 200)
  const { Config, ...rest } = body as { Config: Record<string, unknown> }
  const { Env, ...config } = Config
  assert.ok(JSON.stringify(Env).includes('COCOON_SECRET='))
  const top = await engineRequest(engine.host, 'GET', `/containers/${id}/top`)
  const list = await engineRequest(engine.host, 'GET', '/containers/json?all=1')
  return [
    ['inspect', JSON.stringify([rest, config])],
    ['labels', JSON.stringify(config['Labels'])],
    ['top', JSON.stringify(top.body)],
    ['list', JSON.stringify(list.body)],
  ]
}

async function cocoonEnvironment(hive: TestHive, name = 'planted'): Promise<Readonly<Record<string, string>>> {
  const text = await until(
    async () => {
      const answer = await hive.call('GET', `/cocoons/${name}/env`)
      return answer.status === 200 ? answer.text : ''
    },
    20_000,
    'the cocoon answers',
  )
  return Object.fromEntries(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

function assertNowhere(secrets: Readonly<Record<string, string>>, places: readonly Place[]): void {
  for (const [what, secret] of Object.entries(secrets)) {
    const forms = [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64').slice(0, -4)]
    for (const [where, text] of places)
      for (const form of forms) assert.ok(!text.includes(form), `${what} stands in ${where}: …${around(text, form)}…`)
  }
}

function around(text: string, form: string): string {
  const at = text.indexOf(form)
  return text.slice(Math.max(0, at - 100), at + form.length + 50)
}

async function search(t: TestContext, engine: TestEngine | null): Promise<void> {
  const planted = plant()
  const hive = await openPlanted(t, planted, engine)
  const answered = await answers(hive, planted)
  assert.match(answered[0]?.[1] ?? '', /"state":"running"/)
  const env = await cocoonEnvironment(hive)
  assert.deepEqual(
    [env['KIND_VALUE'], env['PLACED'], env['REQUEST_VALUE'], env['COCOON_SETUP_TOKEN']],
    [planted.kindValue, `${planted.kindValue}-planted`, planted.requestValue, planted.setupToken],
    'the cocoon itself has them',
  )
  const used = await cocoonEnvironment(hive, 'user')
  assert.equal(used['SHARED'], `${planted.sharedValue}-${used['HIVE_USES_SHARED_HOST']}`, 'so has the one that uses it')
  const cocoonSecret = env['COCOON_SECRET'] ?? ''
  assert.match(cocoonSecret, /^[A-Za-z0-9_-]{48}$/)
  const { body } = await hive.call('GET', '/services/planted')
  const places = [
    ...answered,
    ...(await commands(hive, planted)),
    ...(await commandLines()),
    ...(await inspected(engine, body.container_id)),
    ...(await files(hive.directory)),
  ]
  const removal = await hive.call('DELETE', '/services/planted')
  const gone = await hive.call('GET', '/services?include=removed')
  await hive.close()
  places.push(['removal', removal.text], ['removed', gone.text], ['log', hive.log()], ...(await files(hive.directory)))
  assert.match(hive.log(), /"msg":"running"/)
  assertNowhere({ ...planted, cocoonSecret }, places)
}

suite('A21: planted secrets are found nowhere but inside their cocoon', () => {
  test('script', (t) => search(t, null))
  for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
    const engine = engineOrSkip(name)
    test(name, { skip: engine.skip }, (t) => search(t, engine))
  }
})
