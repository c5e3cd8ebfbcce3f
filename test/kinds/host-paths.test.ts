import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hostPathFault } from '../../src/kinds/host-paths.ts'
import { boxConfig, boxText, complaintsOf, strict } from '../support/kind-texts.ts'

/** A directory of its own with `allowed` and `secret` in it; removed after the test. */
function directories(t: TestContext): { readonly allowed: string; readonly secret: string } {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'hive-host-paths-')))
  t.after(() => rmSync(base, { recursive: true, force: true }))
  const [allowed, secret] = [join(base, 'allowed'), join(base, 'secret')] as const
  mkdirSync(join(allowed, 'sub'), { recursive: true })
  mkdirSync(secret)
  return { allowed, secret }
}

const wrongVolumes = [
  ...[
    '/:/host',
    '/var/run/docker.sock:/s',
    '../x:/y',
    './x:/y',
    'x/y:/z',
    'data:/data:rw,shared',
    'a:b:c:d',
    'a:b',
    'data',
  ],
  ...[
    'C:\\x:/y',
    '~/x:/y',
    '',
    ':/x',
    'data:',
    'data:/',
    'data:/a/../b',
    'data:/a//b',
    'data:/a/',
    'data:/data:rw',
    'data:/a:ro:z',
  ],
  ...['/etc:/etc', '/home/x/../../etc:/etc', '-v:/x', 'data:/{kind}', '/srv/{kind}:/x', 'a b:/x', 'dätä:/x'],
]

for (const volume of wrongVolumes) {
  test(`K12 the volume ${JSON.stringify(volume)} is refused where no host path is allowed`, () => {
    assert.match(complaintsOf(boxText({ volumes: [volume] })), /volumes\[0\]: /)
  })
}

test('K12 named volumes are accepted, with placeholders in the name and read-only if it says so', () => {
  assert.deepEqual(boxConfig({ volumes: ['data:/data', 'd_{kind}-{request_id}.x:/y:ro'] }).volumes, [
    { kind: 'volume', source: 'data', target: '/data', readOnly: false },
    { kind: 'volume', source: 'd_{kind}-{request_id}.x', target: '/y', readOnly: true },
  ])
})

test('K12 two volumes at one place are refused', () => {
  assert.match(complaintsOf(boxText({ volumes: ['a:/x', 'b:/x'] })), /two volumes have the same path/)
})

test('K12 a host path is accepted at and below an allowed prefix, also when it does not exist yet', (t) => {
  const { allowed } = directories(t)
  const policy = { ...strict, allowHostPaths: [allowed] }
  for (const path of [allowed, join(allowed, 'sub'), join(allowed, 'new', 'deep')]) {
    assert.equal(hostPathFault(path, [allowed]), null, path)
    const [volume] = boxConfig({ volumes: [`${path}:/data`] }, policy).volumes
    assert.deepEqual(volume, { kind: 'host', source: path, target: '/data', readOnly: false })
  }
})

test('K12 a host path next to an allowed prefix is refused, also when it begins with the same letters', (t) => {
  const { allowed, secret } = directories(t)
  mkdirSync(`${allowed}-not`)
  for (const path of [secret, `${allowed}-not`, join(allowed, '..'), '/', '/etc'])
    assert.notEqual(hostPathFault(path, [allowed]), null, path)
})

test('K12 a link out of the allowed prefix is refused, and so is a link to nowhere and a loop', (t) => {
  const { allowed, secret } = directories(t)
  symlinkSync(secret, join(allowed, 'out'))
  symlinkSync(join(secret, 'later'), join(allowed, 'nowhere'))
  symlinkSync(join(allowed, 'loop'), join(allowed, 'loop'))
  symlinkSync(join(allowed, 'sub'), join(allowed, 'in'))
  for (const name of ['out', 'out/x', 'nowhere', 'nowhere/x', 'loop'])
    assert.notEqual(hostPathFault(join(allowed, name), [allowed]), null, name)
  assert.equal(hostPathFault(join(allowed, 'in'), [allowed]), null)
})

test('K12 a prefix that is itself a link allows what it leads to', (t) => {
  const { allowed, secret } = directories(t)
  symlinkSync(allowed, join(secret, 'link'))
  assert.equal(hostPathFault(join(secret, 'link', 'sub'), [join(secret, 'link')]), null)
  assert.equal(hostPathFault(join(allowed, 'sub'), [join(secret, 'link')]), null)
})

test('K12 engine sockets and what holds them are refused even where everything is allowed', () => {
  const paths = [
    ...[
      '/var/run/docker.sock',
      '/run/docker.sock',
      '/run',
      '/var/run',
      '/',
      '/var',
      '/run/podman',
      '/run/podman/podman.sock',
    ],
    ...['/run/user', '/run/user/1000', '/run/user/1000/podman', '/run/user/1000/podman/podman.sock'],
    ...['/run/user/1000/docker.sock', '/run/containerd/containerd.sock'],
  ]
  for (const path of paths) assert.match(hostPathFault(path, ['/']) ?? 'accepted', /engine/, path)
})

test('K12 a link to an engine socket inside an allowed prefix is refused as one', (t) => {
  const { allowed } = directories(t)
  symlinkSync('/run/docker.sock', join(allowed, 'harmless'))
  assert.notEqual(hostPathFault(join(allowed, 'harmless'), ['/']), null)
})

test('K12 any socket is refused, wherever it lies', async (t) => {
  const { allowed } = directories(t)
  const path = join(allowed, 's.sock')
  const server = createServer()
  t.after(() => new Promise((resolve) => server.close(resolve)))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  assert.match(hostPathFault(path, [allowed]) ?? 'accepted', /is a socket/)
})
