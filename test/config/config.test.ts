import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblems, isLoopbackHost, readConfig } from '../../src/config.ts'
import { complaintsAbout, configOf, someone } from '../support/settings.ts'

test('readConfig: an empty environment gives the defaults of the design', () => {
  const { kinds, ...rest } = configOf({})
  assert.equal(kinds.length, 9)
  assert.deepEqual(rest, {
    host: '127.0.0.1',
    port: 8020,
    publicUrl: null,
    allowedHosts: [],
    corsOrigins: [],
    stateDir: '/home/someone/.local/state/hive',
    token: null,
    auth: true,
    masterKey: null,
    hiveId: 'workstation',
    hiveSecret: null,
    signalingUrl: null,
    signalingProtocol: null,
    dockerHosts: ['unix:///var/run/docker.sock'],
    podmanHosts: ['unix:///run/user/1000/podman/podman.sock', 'unix:///run/podman/podman.sock'],
    cocoonDomain: 'localhost',
    proxyPort: null,
    proxyAuth: 'public',
    maxCocoons: 500,
    maxStarts: 8,
    maxCocoonRequests: 256,
    maxCocoonTunnels: 10_000,
    portRange: { first: 20_000, last: 29_999 },
    uidRange: null,
    registryAuthFile: null,
    keepEndedMs: null,
    stopOnExit: false,
    usesTimeoutMs: 600_000,
    webhookUrl: null,
    webhookSecret: null,
    tracing: null,
    logLevel: 'info',
    policy: { allowHostPaths: [], allow: new Map() },
    warnings: [],
    hostEnvironment: { PATH: null, HOME: null, LANG: null, TZ: null, TMPDIR: null },
  })
})

test('readConfig: every setting is read', () => {
  const config = configOf({
    HIVE_HOST: '0.0.0.0',
    HIVE_PORT: '0',
    HIVE_PUBLIC_URL: 'https://Hive.example:443/',
    HIVE_ALLOWED_HOSTS: 'Hive.example, 10.0.0.1,[::1],',
    HIVE_CORS_ORIGINS: 'https://app.example, http://b.example:8080',
    HIVE_STATE_DIR: '/srv/hive/',
    HIVE_TOKEN: 'a-token-of-sixteen+',
    HIVE_AUTH: 'on',
    HIVE_MASTER_KEY: 'AB'.repeat(32),
    HIVE_ID: 'hive-1',
    HIVE_DOCKER_HOST: 'tcp://10.0.0.2:2375',
    HIVE_PODMAN_HOST: 'http://localhost:9000',
    HIVE_COCOON_DOMAIN: 'Cocoons.example',
    HIVE_PROXY_PORT: '8021',
    HIVE_PROXY_AUTH: 'token',
    HIVE_MAX_COCOONS: '7',
    HIVE_MAX_STARTS: '2',
    HIVE_MAX_COCOON_REQUESTS: '1000',
    HIVE_MAX_COCOON_TUNNELS: '20000',
    HIVE_PORT_RANGE: '30000-30010',
    HIVE_ALLOW_HOST_PATHS: '/srv/a:/srv/b/,/srv/c',
    HIVE_ALLOW_CAP_SYS_ADMIN: 'box, other',
    HIVE_REGISTRY_AUTH_FILE: '/etc/hive/auth.json',
    HIVE_KEEP_ENDED: '24h',
    HIVE_STOP_ON_EXIT: 'on',
    HIVE_USES_TIMEOUT: '90s',
    HIVE_LOG_LEVEL: 'debug',
    HIVE_SIGNALING_PROTOCOL: '2',
    HIVE_WEBHOOK_URL: 'https://events.example/hook?x=1',
    HIVE_WEBHOOK_SECRET: 'a-secret-of-16-characters',
    COCOON_KINDS: 'box:docker:{"image":"i","security":{"cap_add":["SYS_ADMIN"]}},other:i',
    PATH: '/bin',
    HOME: '/root',
    LANG: 'C',
    TZ: 'UTC',
    TMPDIR: '/tmp',
  })
  const { kinds, token, masterKey, webhookSecret, ...rest } = config
  assert.deepEqual(
    kinds.map(({ id }) => id),
    ['box', 'other'],
  )
  assert.equal(token?.reveal(), 'a-token-of-sixteen+')
  assert.equal(masterKey?.reveal(), 'ab'.repeat(32))
  assert.equal(webhookSecret?.reveal(), 'a-secret-of-16-characters')
  assert.deepEqual(rest, {
    host: '0.0.0.0',
    port: 0,
    publicUrl: 'https://hive.example',
    allowedHosts: ['hive.example', '10.0.0.1', '[::1]'],
    corsOrigins: ['https://app.example', 'http://b.example:8080'],
    stateDir: '/srv/hive',
    auth: true,
    hiveId: 'hive-1',
    hiveSecret: null,
    signalingUrl: null,
    signalingProtocol: 2,
    dockerHosts: ['tcp://10.0.0.2:2375'],
    podmanHosts: ['http://localhost:9000'],
    cocoonDomain: 'cocoons.example',
    proxyPort: 8021,
    proxyAuth: 'token',
    maxCocoons: 7,
    maxStarts: 2,
    maxCocoonRequests: 1_000,
    maxCocoonTunnels: 20_000,
    portRange: { first: 30_000, last: 30_010 },
    uidRange: null,
    registryAuthFile: '/etc/hive/auth.json',
    keepEndedMs: 86_400_000,
    stopOnExit: true,
    usesTimeoutMs: 90_000,
    webhookUrl: 'https://events.example/hook?x=1',
    tracing: null,
    logLevel: 'debug',
    policy: {
      allowHostPaths: ['/srv/a', '/srv/b', '/srv/c'],
      allow: new Map([['cap_sys_admin', new Set(['box', 'other'])]]),
    },
    warnings: [],
    hostEnvironment: { PATH: '/bin', HOME: '/root', LANG: 'C', TZ: 'UTC', TMPDIR: '/tmp' },
  })
})

test('readConfig: a blank value counts as not set', () => {
  const blank = Object.fromEntries(
    ['HIVE_PORT', 'HIVE_TOKEN', 'HIVE_AUTH', 'HIVE_DOCKER_HOST', 'COCOON_KINDS', 'HIVE_STATE_DIR'].map((name) => [
      name,
      ' ',
    ]),
  )
  assert.deepEqual(configOf(blank), configOf({}))
})

test('readConfig: the config is frozen throughout', () => {
  const config = configOf({ HIVE_TOKEN: 'a-token-of-sixteen+' })
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.portRange) && Object.isFrozen(config.kinds[0]?.config))
})

const wrong: Readonly<Record<string, readonly string[]>> = {
  HIVE_HOST: ['127.0.0.1:80', 'http://x', 'a b', '1.2.3.999', '::g'],
  HIVE_PORT: ['-1', '65536', '80.5', 'http', '0x50', '8020 x'],
  HIVE_PUBLIC_URL: ['hive.example', 'ftp://x', 'https://x/path', 'https://u:p@x', 'https://x?q', 'https://'],
  HIVE_ALLOWED_HOSTS: ['a:80', 'http://a', '*.a', 'a b', '-a', '.a', '*'],
  HIVE_CORS_ORIGINS: ['*', 'app.example', 'https://a/b', 'null'],
  HIVE_STATE_DIR: ['state', './state', '/a/../b', '~'],
  HIVE_TOKEN: ['short', 'fifteen-charact', 'sixteen characters long', 'sechzehn-zeichen-ä'],
  HIVE_AUTH: ['no', 'OFF', 'true', '0'],
  HIVE_MASTER_KEY: [
    'abc',
    'ab'.repeat(31),
    'zz'.repeat(32),
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('base64'),
  ],
  HIVE_ID: ['a b', 'x'.repeat(129)],
  SIGNALING_SERVER_URL: ['http://x', 'x', 'ws://', 'wss://x#y'],
  HIVE_DOCKER_HOST: [
    'ssh://u@h',
    '/var/run/docker.sock',
    'unix://rel.sock',
    'tcp://u:p@h',
    'tcp://',
    'npipe:////./pipe/x',
    'http://h/path',
  ],
  DOCKER_HOST: ['ssh://u@h'],
  HIVE_PODMAN_HOST: ['ssh://u@h'],
  CONTAINER_HOST: ['ssh://u@h'],
  HIVE_COCOON_DOMAIN: ['.x', '*.x', 'x:80', '[::1]', 'x/y'],
  HIVE_PROXY_PORT: ['8020', 'x'],
  HIVE_PROXY_AUTH: ['none'],
  HIVE_MAX_COCOONS: ['0', 'many', '-1'],
  HIVE_MAX_STARTS: ['0', '1e3'],
  HIVE_MAX_COCOON_REQUESTS: ['0', '-1'],
  HIVE_MAX_COCOON_TUNNELS: ['0', 'many'],
  HIVE_PORT_RANGE: ['20000', '30000-20000', '80-90', '60000-70000', 'a-b', '1024-2000-3000'],
  HIVE_UID_RANGE: ['0-10', '10-5', 'x'],
  HIVE_ALLOW_HOST_PATHS: ['srv', '/a:../b', '/a//b'],
  HIVE_ALLOW_CAP_SYS_ADMIN: ['a b', 'box,../x'],
  HIVE_REGISTRY_AUTH_FILE: ['auth.json'],
  HIVE_KEEP_ENDED: ['on', '0s', 'forever', '-1h'],
  HIVE_STOP_ON_EXIT: ['yes'],
  HIVE_USES_TIMEOUT: ['off', '0', '25h', 'soon'],
  HIVE_LOG_LEVEL: ['verbose', 'INFO'],
  HIVE_SIGNALING_PROTOCOL: ['3', 'both', '01'],
}

for (const [name, values] of Object.entries(wrong)) {
  test(`readConfig: a wrong ${name} is a problem that says what would be right`, () => {
    for (const value of values) {
      const [problem = '', ...more] = complaintsAbout({ [name]: value })
      assert.match(problem, new RegExp(`^${name} .+ Right: .+\\.$`), value)
      assert.equal(more.length, 0, value)
    }
  })
}

test('readConfig: the problems of all settings and of COCOON_KINDS come at once', () => {
  const problems = complaintsAbout({
    HIVE_PORT: 'x',
    HIVE_TOKEN: 'short',
    HIVE_LOG_LEVEL: 'x',
    COCOON_KINDS: 'a:script,b:IMG',
  })
  assert.equal(problems.length, 5)
  const text = formatProblems(problems)
  assert.match(text, /^Hive does not start: 5 settings are wrong\.\n/)
  for (const word of ['HIVE_PORT', 'HIVE_TOKEN', 'HIVE_LOG_LEVEL', 'entry 1 (a)', 'entry 2 (b)'])
    assert.ok(text.includes(word), word)
})

test('readConfig: no value of a setting is in a problem, a warning or the printed config', () => {
  const planted = 'PLANTED plaNTED'
  const names = Object.keys(wrong).filter((name) => !['HIVE_ALLOW_HOST_PATHS', 'HIVE_ID'].includes(name))
  const problems = complaintsAbout(Object.fromEntries([...names, 'HIVE_SECRET'].map((name) => [name, planted])))
  assert.ok(problems.length >= names.length - 2)
  assert.doesNotMatch(formatProblems(problems), /planted/i)
  const secrets = { HIVE_TOKEN: 'planted-planted-planted', HIVE_SECRET: 'planted', HIVE_MASTER_KEY: 'ab'.repeat(32) }
  const config = configOf({
    ...secrets,
    HIVE_TOKENS: 'planted',
    COCOON_KINDS: 'a:docker:{"image":"i","environment":{"PORT":"planted"}}',
  })
  assert.doesNotMatch(JSON.stringify({ ...config, kinds: [] }), /planted|abab/)
})

test('readConfig: the state directory follows XDG, and root has its own', () => {
  assert.equal(configOf({ XDG_STATE_HOME: '/x/state', HOME: '/h' }).stateDir, '/x/state/hive')
  assert.equal(configOf({ XDG_STATE_HOME: 'relative', HOME: '/h' }).stateDir, '/h/.local/state/hive')
  assert.equal(configOf({ XDG_STATE_HOME: '/x/state' }, { ...someone, uid: 0 }).stateDir, '/var/lib/hive')
  assert.equal(configOf({ HIVE_STATE_DIR: '/y' }, { ...someone, uid: 0 }).stateDir, '/y')
})

test('readConfig: an operator’s engine address is the only one, Hive’s own variable first', () => {
  assert.deepEqual(configOf({ DOCKER_HOST: 'unix:///d.sock' }).dockerHosts, ['unix:///d.sock'])
  assert.deepEqual(configOf({ DOCKER_HOST: 'ssh://x', HIVE_DOCKER_HOST: 'unix:///h.sock' }).dockerHosts, [
    'unix:///h.sock',
  ])
  assert.deepEqual(configOf({ CONTAINER_HOST: 'unix:///c.sock' }).podmanHosts, ['unix:///c.sock'])
  assert.deepEqual(configOf({ XDG_RUNTIME_DIR: '/r' }).podmanHosts, [
    'unix:///r/podman/podman.sock',
    'unix:///run/podman/podman.sock',
  ])
  assert.deepEqual(configOf({}, { ...someone, uid: null }).podmanHosts, ['unix:///run/podman/podman.sock'])
})

test('readConfig: a master key may be base64 or base64url, and is kept as hex', () => {
  const bytes = Buffer.from([...Array(32).keys()].map((index) => 255 - index))
  for (const encoding of ['hex', 'base64', 'base64url'] as const)
    assert.equal(configOf({ HIVE_MASTER_KEY: bytes.toString(encoding) }).masterKey?.reveal(), bytes.toString('hex'))
})

test('readConfig: authorisation may be off on loopback only', () => {
  for (const HIVE_HOST of ['127.0.0.1', '::1', 'localhost', '127.9.9.9', '[::1]'])
    assert.equal(configOf({ HIVE_HOST, HIVE_AUTH: 'off' }).auth, false)
  const [problem] = complaintsAbout({ HIVE_HOST: '0.0.0.0', HIVE_AUTH: 'off', HIVE_PROXY_AUTH: 'token' })
  assert.match(problem ?? '', /^HIVE_AUTH is off while HIVE_HOST is not loopback/)
})

test('readConfig: away from loopback the proxy’s access must be chosen, and there is no default domain', () => {
  assert.match(complaintsAbout({ HIVE_HOST: '::' })[0] ?? '', /^HIVE_PROXY_AUTH must be chosen/)
  const config = configOf({ HIVE_HOST: 'hive.example', HIVE_PROXY_AUTH: 'public' })
  assert.equal(config.proxyAuth, 'public')
  assert.equal(config.cocoonDomain, null)
})

test('readConfig: an unknown HIVE_ variable is a warning with the nearest setting', () => {
  const { warnings } = configOf({
    HIVE_PROT: '1',
    HIVE_WEBHOOX: 'x',
    HIVE_ALLOW_CAP_SYSADMIN: 'a',
    HIVE_ALLOW_PRIVILEGED: 'a',
    HIVE_URL: 'x',
    HIVE_URL_PREFIX: 'x',
    HIVEX: 'x',
  })
  assert.deepEqual(warnings, [
    'HIVE_PROT is not a setting of Hive. Did you mean HIVE_PORT?',
    'HIVE_WEBHOOX is not a setting of Hive.',
    'HIVE_ALLOW_CAP_SYSADMIN is not a setting of Hive. Did you mean HIVE_ALLOW_CAP_SYS_ADMIN?',
    'HIVE_ALLOW_PRIVILEGED has no effect: Hive passes nothing of that to a container.',
  ])
})

test('readConfig: settings without an effect are warnings', () => {
  const about = (env: NodeJS.ProcessEnv) => configOf(env).warnings.join('\n')
  assert.match(about({ HIVE_SECRET: 'x' }), /HIVE_SECRET has no effect without SIGNALING_SERVER_URL/)
  assert.equal(about({ HIVE_SECRET: 'x', SIGNALING_SERVER_URL: 'wss://s.example' }), '')
  assert.equal(about({ SIGNALING_SERVER_URL: 'wss://s.example' }), '')
  assert.equal(about({ HIVE_UID_RANGE: '200000-200999' }), '')
  assert.match(about({ HIVE_ALLOW_CAP_BPF: 'nobody' }), /HIVE_ALLOW_CAP_BPF names nobody, which is not a kind/)
  assert.match(about({ HIVE_PORT: '20001' }), /within HIVE_PORT_RANGE/)
  assert.match(
    about({ COCOON_KINDS: 'a:docker:{"image":"i","environment":{"PORT":"1"}}' }),
    /environment.PORT: Hive sets this variable itself/,
  )
})

test('readConfig: what the host is like is asked for when nobody says it', () => {
  assert.ok('config' in readConfig({}))
})

test('isLoopbackHost: loopback addresses and localhost, also IPv4 written as IPv6', () => {
  for (const host of ['127.0.0.1', '127.255.0.1', '::1', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])
    assert.equal(isLoopbackHost(host), true, host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'localhost.example', '', '::ffff:10.0.0.1'])
    assert.equal(isLoopbackHost(host), false, host)
})
