import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { suite } from 'node:test'
import { until, within } from '../support/deadline.ts'
import { serverBench } from '../support/hive-server.ts'
import { rawConnect, readAll } from '../support/raw-http.ts'
import { HTTPD } from '../support/script-bench.ts'

/** Everything here runs the server as a process of its own, as users do. */

const NATIVE = JSON.stringify([
  {
    id: 'native',
    runner_type: 'script',
    runner_config: { command: process.execPath, args: [HTTPD, '{port}'], stop_grace: '2s' },
  },
])

suite('starting', { concurrency: 2 }, () => {
  test('wrong settings and wrong kinds are all printed at once, no value with them, and the exit code is 78', async (t) => {
    const bench = await serverBench(t)
    const server = bench.start({
      HIVE_PORT: 'planted-port',
      HIVE_TOKEN: 'planted token',
      HIVE_MASTER_KEY: 'planted-key',
      HIVE_LOG_LEVEL: 'planted-level',
      COCOON_KINDS: JSON.stringify([
        { id: 'a', runner_type: 'script', runner_config: { command: '', environment: { A: ['planted-value'] } } },
        { id: 'b', runner_type: 'nope', runner_config: {} },
        { id: 'A', runner_type: 'docker', runner_config: { image: 'x', environment: { B: 'planted-{nope}' } } },
      ]),
    })
    assert.equal(await server.exit(), 78)
    const output = server.output()
    for (const named of ['HIVE_PORT', 'HIVE_TOKEN', 'HIVE_MASTER_KEY', 'HIVE_LOG_LEVEL'])
      assert.match(output, new RegExp(`^ {2}${named} `, 'm'))
    for (const entry of [1, 2, 3]) assert.match(output, new RegExp(`^ {2}COCOON_KINDS entry ${entry} `, 'm'))
    assert.doesNotMatch(output, /planted-(?:key|value|\{)|planted token/)
  })

  test('a state directory that is a file is refused with the mend, exit code 73', async (t) => {
    const bench = await serverBench(t)
    const file = join(bench.directory, 'file')
    await writeFile(file, '')
    const server = bench.start({ HIVE_STATE_DIR: file })
    assert.equal(await server.exit(), 73)
    assert.match(server.output(), /Hive cannot start: .*HIVE_STATE_DIR/)
  })

  for (const setting of ['HIVE_PORT', 'HIVE_PROXY_PORT'])
    test(`a ${setting} that somebody else has ends the start with exit code 69 and no process left`, async (t) => {
      const taken = createServer().listen(0, '127.0.0.1')
      await once(taken, 'listening')
      t.after(() => taken.close())
      const { port } = taken.address() as { port: number }
      const bench = await serverBench(t)
      const server = bench.start({ [setting]: String(port) })
      assert.equal(await server.exit(), 69)
      assert.match(server.output(), new RegExp(`Hive cannot start: .*EADDRINUSE.*${port}.*${setting}`))
    })

  test('HIVE_AUTH=off is refused off loopback and warned of on it', async (t) => {
    const bench = await serverBench(t)
    const far = bench.start({ HIVE_AUTH: 'off', HIVE_HOST: '0.0.0.0', HIVE_PROXY_AUTH: 'token' })
    assert.equal(await far.exit(), 78)
    assert.match(far.output(), /HIVE_AUTH is off while HIVE_HOST is not loopback/)
    const near = bench.start({ HIVE_AUTH: 'off' })
    await near.line('HIVE_AUTH=off: everybody on this machine may spawn and kill cocoons')
    const { control } = await near.ports()
    assert.equal((await fetch(`http://127.0.0.1:${control}/services`)).status, 200)
  })

  test('the start line tells where the token is, not what it is, and warns of script kinds', async (t) => {
    const bench = await serverBench(t, { COCOON_KINDS: NATIVE, HIVE_LOG_LEVEL: 'trace' })
    const server = bench.start()
    const line = await server.line('Hive is listening')
    const file = join(bench.directory, 'token')
    assert.equal(line['token_from'], file)
    const token = (await readFile(file, 'utf8')).trim()
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.equal((await stat(bench.directory)).mode & 0o777, 0o700)
    assert.equal((await server.call('GET', '/kinds')).status, 200)
    const warning = server
      .output()
      .split('\n')
      .find((text) => text.includes('script kinds are no security boundary'))
    assert.ok(warning)
    assert.deepEqual(JSON.parse(warning).kinds, ['native'])
    if (process.getuid?.() === 0) assert.match(warning, /ROOT/)
    assert.ok(!server.output().includes(token))
  })

  test('a token given by HIVE_TOKEN is used, written nowhere and never logged', async (t) => {
    const token = 'planted-token-0123456789'
    const bench = await serverBench(t, { HIVE_TOKEN: token, HIVE_LOG_LEVEL: 'trace' })
    const server = bench.start()
    assert.equal((await server.line('Hive is listening'))['token_from'], 'HIVE_TOKEN')
    assert.equal((await server.call('GET', '/services')).status, 200)
    await assert.rejects(stat(join(bench.directory, 'token')), { code: 'ENOENT' })
    assert.ok(!server.output().includes(token))
  })
})

suite('ending', { concurrency: 2 }, () => {
  // TERM and HUP: test/crash/shutdown.test.ts.
  test('SIGINT ends Hive with 0, its cocoons live on, and the next start adopts them', async (t) => {
    const bench = await serverBench(t, { COCOON_KINDS: NATIVE })
    const first = bench.start()
    const { body: before } = await first.call('POST', '/spawn?wait=ready', { kind: 'native', name: 'survivor' })
    assert.equal(before.state, 'running')
    first.child.kill('SIGINT')
    assert.equal(await first.exit(), 0)
    assert.match(first.output(), /Hive has stopped/)
    assert.doesNotThrow(() => process.kill(before.pid, 0), 'its process must run')
    const second = bench.start()
    const { body: after } = await second.call('GET', '/services/survivor?wait=ready')
    assert.deepEqual(
      { id: after.id, pid: after.pid, attempt: after.attempt, state: after.state, restarts: after.restarts },
      { id: before.id, pid: before.pid, attempt: 1, state: 'running', restarts: 0 },
    )
    const { control } = await second.ports()
    const answer = await until(
      async () => (await fetch(`http://127.0.0.1:${control}/cocoons/survivor/`)).status === 200,
      10_000,
      'the adopted cocoon answers',
    )
    assert.ok(answer)
  })

  test('HIVE_STOP_ON_EXIT stops every cocoon first, and the next start leaves them stopped', async (t) => {
    const bench = await serverBench(t, { COCOON_KINDS: NATIVE, HIVE_STOP_ON_EXIT: 'on' })
    const first = bench.start()
    const names = ['one', 'two']
    const pids: number[] = []
    for (const name of names) {
      const { body } = await first.call('POST', '/spawn?wait=ready', { kind: 'native', name })
      pids.push(body.pid)
    }
    first.child.kill('SIGTERM')
    assert.equal(await first.exit(), 0)
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
    const second = bench.start()
    for (const name of names) {
      const { body } = await second.call('GET', `/services/${name}`)
      assert.deepEqual([body.state, body.desired, body.exit.reason], ['stopped', 'stopped', 'stopped'])
      assert.equal((await second.call('POST', `/services/${name}/start?wait=ready`)).body.state, 'running')
    }
  })

  test('a wait under way is answered when Hive ends', async (t) => {
    const bench = await serverBench(t, { COCOON_KINDS: NATIVE })
    const server = bench.start()
    await server.call('POST', '/spawn?wait=ready', { kind: 'native', name: 'waited-for' })
    const socket = await rawConnect(t, (await server.ports()).control)
    const answers = readAll(socket)
    const head = `HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${await server.token()}\r\n\r\n`
    // Read in one go: when the first is answered, the second has begun.
    const first = once(socket, 'data')
    socket.write(`GET /livez ${head}GET /services/waited-for?wait=gone&timeout_s=600 ${head}`)
    await first
    server.child.kill('SIGTERM')
    assert.match(await within(answers, 10_000, 'the waiting answer'), /"name":"waited-for".*"state":"running"/)
    assert.equal(await server.exit(), 0)
  })
})

test('HIVE_PUBLIC_URL: a domain of its own is reached by its scheme and port, localhost by those of the listener', async (t) => {
  const env = { COCOON_KINDS: NATIVE, HIVE_PUBLIC_URL: 'https://hive.test:8443' }
  for (const [domain, origin] of [
    ['hive.test', 'https://named.hive.test:8443/'],
    ['localhost', /^http:\/\/named\.localhost:\d+\/$/],
  ] as const) {
    const server = (await serverBench(t, { ...env, HIVE_COCOON_DOMAIN: domain })).start()
    const { body } = await server.call('POST', '/spawn?wait=ready', { kind: 'native', name: 'named' })
    assert.equal(body.url, 'https://hive.test:8443/cocoons/named/')
    if (typeof origin === 'string') assert.equal(body.origin_url, origin)
    else assert.match(body.origin_url, origin)
  }
})

test('HIVE_PROXY_PORT: cocoons answer only there, and the control API only on its own port', async (t) => {
  const bench = await serverBench(t, { COCOON_KINDS: NATIVE, HIVE_PROXY_PORT: '0' })
  const server = bench.start()
  const { control, cocoons } = await server.ports()
  assert.notEqual(control, cocoons)
  const { body } = await server.call('POST', '/spawn?wait=ready', { kind: 'native', name: 'apart' })
  assert.equal(body.url, `http://127.0.0.1:${cocoons}/cocoons/apart/`)
  assert.equal(body.origin_url, `http://apart.localhost:${cocoons}/`)
  assert.equal((await fetch(body.url)).status, 200)
  assert.equal((await fetch(`http://127.0.0.1:${control}/cocoons/apart/`)).status, 404)
  const headers = { authorization: `Bearer ${await server.token()}` }
  for (const path of [
    '/services',
    '/services/apart',
    '/kinds',
    '/livez',
    '/readyz',
    '/openapi.json',
    '/docs/',
    '/%73ervices',
  ])
    assert.equal((await fetch(`http://127.0.0.1:${cocoons}${path}`, { headers })).status, 404, path)
  assert.equal((await fetch(`http://127.0.0.1:${cocoons}/spawn`, { method: 'POST', headers })).status, 404)
})
