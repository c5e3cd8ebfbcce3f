import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseKinds } from '../../src/kinds/parse.ts'
import { DEFAULT_RESTART } from '../../src/kinds/restart-policy.ts'
import { boxConfig, boxText, complaintsOf, kindsOf, problemsOf, strict } from '../support/kind-texts.ts'

test('a container kind that says nothing gets the defaults of the design', () => {
  assert.deepEqual(boxConfig({}), {
    runner: 'docker',
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
    image: 'busybox',
    command: null,
    args: null,
    containerName: null,
    workingDir: null,
    volumes: [],
    ports: [],
    gpus: null,
    pull: 'missing',
    resources: { memoryBytes: null, cpus: null, pids: 512, nofile: null, nproc: null },
    security: {
      capAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'KILL', 'NET_BIND_SERVICE'],
      capDrop: ['ALL'],
      readOnly: false,
      seccomp: null,
      apparmor: null,
      selinux: null,
      userns: null,
      allowSudo: false,
    },
  })
})

test('a container kind keeps every field it sets, in Hive’s own units', () => {
  const config = boxConfig(
    {
      command: ['sh', '-c'],
      args: ['echo {kind}'],
      container_name: 'box-{service_name}',
      working_dir: '/srv',
      environment: { A: '{port}' },
      accept_environment: ['APP_*'],
      volumes: ['data-{kind}:/data:ro', 'cache:/cache'],
      ports: ['8080', '9000:80/tcp'],
      port: 8080,
      user: '1000:1000',
      resources: { memory: '512m', cpus: 1.5, pids: 256, nofile: 1024, nproc: 64 },
      gpus: 'all',
      pull: 'always',
      ready_timeout: '1.5m',
      stop_grace: 0,
      health_check: { type: 'tcp', port: 80, interval: '2s' },
      ttl: '1h',
      idle_timeout: 90,
      wake: true,
      restart: { policy: 'unless-stopped', max_attempts: 2, window: '1m', backoff_min: '2s' },
      allow_origins: ['https://App.example:443'],
      strip_prefix: false,
    },
    strict,
    'podman',
  )
  const { security: _, ...rest } = config
  assert.deepEqual(rest, {
    runner: 'podman',
    image: 'busybox',
    command: ['sh', '-c'],
    args: ['echo {kind}'],
    containerName: 'box-{service_name}',
    workingDir: '/srv',
    environment: { A: '{port}' },
    acceptEnvironment: ['APP_*'],
    volumes: [
      { kind: 'volume', source: 'data-{kind}', target: '/data', readOnly: true },
      { kind: 'volume', source: 'cache', target: '/cache', readOnly: false },
    ],
    ports: [
      { port: 8080, hostPort: null },
      { port: 80, hostPort: 9000 },
    ],
    port: 8080,
    user: '1000:1000',
    resources: { memoryBytes: 512 * 1024 ** 2, cpus: 1.5, pids: 256, nofile: 1024, nproc: 64 },
    gpus: 'all',
    pull: 'always',
    readyTimeoutMs: 90_000,
    stopGraceMs: 0,
    healthChecks: [
      {
        type: 'tcp',
        path: '/',
        port: 80,
        command: [],
        intervalMs: 2_000,
        timeoutMs: 5_000,
        retries: 3,
        startPeriodMs: 0,
      },
    ],
    restart: { policy: 'always', maxAttempts: 2, windowMs: 60_000, backoffMinMs: 2_000, backoffMaxMs: 60_000 },
    ttlMs: 3_600_000,
    idleTimeoutMs: 90_000,
    wake: true,
    allowOrigins: ['https://app.example'],
    stripPrefix: false,
    expose: null,
    uses: [],
  })
})

test('the config that the seed writes for docker is accepted as it stands', () => {
  const config = boxConfig({
    image: 'registry/cocoon:tag',
    container_name: 'auto-generated',
    environment: {},
    volumes: ['data:/data'],
    ports: ['8080:8080'],
  })
  assert.equal(config.containerName, null)
  assert.deepEqual(config.ports, [{ port: 8080, hostPort: 8080 }])
})

const engineOptions = {
  Privileged: true,
  privileged: true,
  HostConfig: { Privileged: true },
  NetworkMode: 'host',
  network_mode: 'host',
  PidMode: 'host',
  pid_mode: 'host',
  ipc_mode: 'host',
  uts_mode: 'host',
  CapAdd: ['ALL'],
  Devices: ['/dev/kvm'],
  devices: ['/dev/kvm'],
  SecurityOpt: ['seccomp=unconfined'],
  CgroupParent: '/',
  Runtime: 'runc',
  Binds: ['/:/host'],
}

for (const [key, value] of Object.entries(engineOptions)) {
  test(`K11 the engine option ${key} is refused and said to be one, even where everything may be allowed`, () => {
    const allow = new Map(['privileged', key.toLowerCase()].map((what) => [what, new Set(['box'])] as const))
    const complaint = complaintsOf(boxText({ [key]: value }), { allowHostPaths: ['/'], allow })
    assert.ok(complaint.includes(`"${key}" is an option of the engine`), complaint)
  })
}

test('K11 an unknown key is refused and the known ones are listed, __proto__ and constructor among the unknown', () => {
  for (const key of ['__proto__', 'constructor', 'toString', 'imag', 'Image']) {
    const complaint = complaintsOf(`box:docker:{"image":"i","${key}":{"image":"x"}}`)
    assert.ok(complaint.includes(`"${key}" is not a known field. Right: one of image, command, args`), complaint)
  }
})

const wrongPorts = [
  '22:22',
  '0.0.0.0:80:80',
  '1-65535:1-65535',
  '99999:1',
  '-1:1',
  '8080:8080/sctp',
  '[::]:1:1',
  '0',
  '',
  '80:',
  ':80',
  '08080',
  '8080/udp',
  '1023:80',
  '8080:99999',
  ' 80',
  '8e3',
]

for (const port of wrongPorts) {
  test(`K13 the port ${JSON.stringify(port)} is refused`, () => {
    const [problem, ...more] = problemsOf(boxText({ ports: ['8080', port] }))
    assert.equal(problem?.field, 'ports[1]')
    assert.match(problem.right, /"8080"/)
    assert.equal(more.length, 0)
  })
}

test('K13 a port without a host port is one that Hive chooses, and numbers are refused', () => {
  assert.deepEqual(boxConfig({ ports: ['8080'] }).ports, [{ port: 8080, hostPort: null }])
  assert.match(complaintsOf(boxText({ ports: [8080] })), /ports\[0\]: is a number. Right: a string/)
})

test('K13 a port that stands twice is refused, on either side', () => {
  assert.match(complaintsOf(boxText({ ports: ['80', '9000:80'] })), /container port 80 twice/)
  assert.match(complaintsOf(boxText({ ports: ['9000:80', '9000:81'] })), /host port 9000 twice/)
})

test('K17 args of a wrong type or size are refused, item by item', () => {
  assert.match(complaintsOf(boxText({ args: '--kind x' })), /args: is a string. Right: an array of strings/)
  assert.match(complaintsOf(boxText({ args: ['a', 1, ['b'], null] })), /args\[1\][\s\S]*args\[2\][\s\S]*args\[3\]/)
  assert.match(complaintsOf(boxText({ args: Array(100_000).fill('a') })), /has 100000 items/)
  assert.match(complaintsOf(boxText({ args: ['x'.repeat(1_000_000)] })), /args\[0\]: is longer than 131071 bytes/)
})

test('K18 variables that Hive sets itself are kept, with a warning that Hive’s value wins', () => {
  const environment = {
    COCOON_SECRET: 'mine',
    SIGNALING_SERVER_URL: 'ws://mine',
    PORT: '1',
    PORT_ADMIN: '2',
    MINE: 'x',
  }
  const { problems, warnings } = parseKinds(boxText({ environment }), strict)
  assert.equal(problems.length, 0)
  assert.deepEqual(
    warnings,
    ['COCOON_SECRET', 'SIGNALING_SERVER_URL', 'PORT', 'PORT_ADMIN'].map(
      (name) =>
        `COCOON_KINDS entry 1 (box), environment.${name}: Hive sets this variable itself, and Hive's value wins`,
    ),
  )
})

test('environment: names and values of a wrong form are refused without the value', () => {
  const complaint = complaintsOf(boxText({ environment: { 'A-B': 'v1', '1A': 'v2', C: 3, D: ['v4'], E: '{nope}' } }))
  assert.match(complaint, /"A-B" is not a name[\s\S]*"1A" is not a name|"1A" is not a name[\s\S]*"A-B" is not a name/)
  assert.match(
    complaint,
    /environment\.C: is a number[\s\S]*environment\.D: is an array[\s\S]*environment\.E: holds a placeholder/,
  )
  assert.doesNotMatch(complaint, /v1|v2|v4|nope/)
})

test('environment: a variable named __proto__ is a variable like any other', () => {
  const [kind] = kindsOf('a:docker:{"image":"i","environment":{"__proto__":"x"}}')
  assert.deepEqual(Object.entries(kind?.config.environment ?? {}), [['__proto__', 'x']])
})

test('command of a container: one token or an array, never split and never filled in', () => {
  assert.deepEqual(boxConfig({ command: '/bin/app' }).command, ['/bin/app'])
  assert.deepEqual(boxConfig({ command: ['sh', '-c', 'echo "a  b" $X {x}'] }).command, [
    'sh',
    '-c',
    'echo "a  b" $X {x}',
  ])
  assert.match(complaintsOf(boxText({ command: 'sh -c x' })), /never splits/)
  assert.match(complaintsOf(boxText({ command: '' })), /command: is empty/)
  assert.match(complaintsOf(boxText({ command: [] })), /command: is empty/)
  assert.match(
    complaintsOf(boxText({ command: ['app', '{kind}'] })),
    /command\[1\]: holds \{kind\}, but nothing is filled in/,
  )
})

test('container_name: a custom one must differ from cocoon to cocoon and be a name', () => {
  for (const name of ['box', 'box-{kind}', '{{service_name}}', '', 'box-{port}'])
    assert.match(complaintsOf(boxText({ container_name: name, port: 1 })), /container_name/, name)
  for (const name of ['/{service_name}', 'a b {service_name}', '-{request_id}', `${'x'.repeat(260)}{service_name}`])
    assert.match(complaintsOf(boxText({ container_name: name })), /container_name: is not a name/, name)
})

test('{port} in a container kind needs a port that is declared', () => {
  assert.match(complaintsOf(boxText({ args: ['{port}'] })), /\{port\} is used, but there is no port/)
  assert.equal(boxConfig({ args: ['{port}'], ports: ['80'] }).ports.length, 1)
  assert.equal(boxConfig({ args: ['{port}'], port: 80 }).port, 80)
})

test('fields of a wrong type are all refused at once, each under its own name', () => {
  const fields = {
    port: '80',
    user: 1000,
    resources: [],
    gpus: 0,
    pull: 'Always',
    ready_timeout: 'soon',
    stop_grace: -1,
    strip_prefix: 'no',
    allow_origins: ['*', 'https://a/b'],
    accept_environment: 'A',
  }
  const found = problemsOf(boxText(fields)).map(({ field }) => field)
  assert.deepEqual(found, [
    'port',
    'user',
    'resources',
    'gpus',
    'pull',
    'ready_timeout',
    'stop_grace',
    'strip_prefix',
    'allow_origins[0]',
    'allow_origins[1]',
    'accept_environment',
  ])
})

test('resources: limits out of reach and unknown ones are refused', () => {
  const complaint = complaintsOf(
    boxText({ resources: { memory: '1k', cpus: 0, pids: 0, nofile: 1.5, nproc: '5', swap: 1 } }),
  )
  for (const name of ['memory', 'cpus', 'pids', 'nofile', 'nproc'])
    assert.match(complaint, new RegExp(`resources\\.${name}:`))
  assert.match(complaint, /resources: "swap" is not a known field/)
})

test('user: uid, uid:gid or a name, nothing else', () => {
  for (const user of ['0', '1000:1000', 'node', '_www-data']) assert.equal(boxConfig({ user }).user, user)
  for (const user of ['', 'Root', '1000:', ':1', '-1', 'a:b', '4294967295', 'x'.repeat(40), 'a b'])
    assert.match(complaintsOf(boxText({ user })), /user/, user)
})
