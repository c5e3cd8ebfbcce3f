import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { canExec, LaunchRefused, type LaunchSpec } from '../../src/runners/driver.ts'
import { findTool } from '../../src/runners/script/command.ts'
import { until, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import {
  CONTAINMENTS,
  HTTPD,
  INSIDE,
  noCgroups,
  outputOf,
  processRuns,
  useScriptBench,
} from '../support/script-bench.ts'

const noCgroup = noCgroups()
const PROGRAMS = { bubblewrap: 'bwrap', firejail: 'firejail' } as const
const SANDBOXES = ['bubblewrap', 'firejail'] as const
/** Its TERM must not be the sandbox's: it says so by its exit code. */
const SERVE = `"$0" "$1" & trap 'kill $!; exit 9' TERM; while :; do wait; done`
const path = process.env['PATH'] ?? null
const notRoot = process.getuid?.() !== 0 && 'only root can enter a sandbox'

for (const sandbox of SANDBOXES) {
  const missing = findTool(PROGRAMS[sandbox], path) === null && `${sandbox} is not installed here`

  for (const containment of CONTAINMENTS) {
    const skip = missing || (containment === 'cgroup' && noCgroup)

    test(`${sandbox}: serves, ends at TERM with its own exit code, leaves nothing (${containment})`, {
      skip,
    }, async (t) => {
      const bench = await useScriptBench(t, { forceContainment: containment })
      const spec = scriptSpec(
        { command: 'sh', args: ['-c', SERVE, process.execPath, HTTPD], sandbox },
        { port: await freePort() },
      )
      const { handle } = await bench.launch(spec)
      const [binding] = spec.ports
      assert.ok(binding)
      await until(() => bench.driver.listens(handle, binding, bench.signal), 10_000, 'the listener')
      assert.equal((await fetch(`http://127.0.0.1:${binding.port}/`)).ok, true)
      // A fresh driver with nothing but the handle sees, stops and reads the same.
      const later = bench.newDriver()
      assert.equal((await later.inspect(handle, bench.signal)).state, 'running')
      assert.equal((await later.start(spec, bench.signal)).adopted, true)
      const ended = later.wait(handle, bench.signal)
      await later.stop(handle, 10_000, bench.signal)
      assert.deepEqual(await within(ended, 5_000, 'the exit'), { code: 9, signal: null, oom: false })
      await assert.rejects(fetch(`http://127.0.0.1:${binding.port}/`))
    })

    test(`F24: ${sandbox}: what left the session and ignores TERM is gone after stop (${containment})`, {
      skip,
    }, async (t) => {
      const bench = await useScriptBench(t, { forceContainment: containment })
      const flight = `(setsid env -i sh -c 'trap "" TERM; read -r pid rest </proc/self/stat; while :; do sleep 0.1; done' >/dev/null 2>&1 &)`
      const spec = shSandboxed(`${flight}; : >ready; exec sleep 1000`, sandbox)
      const { handle, pid } = await bench.launch(spec)
      await until(() => readFile(join(bench.stateDir, 'work', spec.id, 'ready')), 5_000, 'the escape')
      const inside = await processesBelow(pid ?? 0)
      assert.ok(inside.length >= 2)
      await bench.driver.stop(handle, 200, bench.signal)
      await until(() => !inside.some(processRuns), 5_000, 'the end of all')
    })
  }

  test(`${sandbox}: hides the state directory, sockets, processes and homes from inside`, {
    skip: missing,
  }, async (t) => {
    const bench = await useScriptBench(t)
    const neighbour = await bench.launch(shSandboxed('exec sleep 1000', sandbox))
    const secrets = await plantSecrets(t, bench.stateDir)
    const spec = inside(sandbox, {
      read: [...secrets.files, '/etc/shadow', `/proc/${neighbour.pid}/environ`, HTTPD],
      list: [join(bench.stateDir, 'run'), join(bench.stateDir, 'work', String(neighbour.handle.data['id']))],
      connect: [secrets.socket],
      kill: [neighbour.pid ?? 0, process.pid],
      write: ['/usr/planted', '/etc/planted', HTTPD, 'own', '/tmp/private'],
    })
    const seen = await outcome(bench, spec)
    assert.equal(seen.found[HTTPD], 'EROFS')
    for (const file of secrets.files) assert.match(String(seen.found[file]), /^(ENOENT|EACCES)$/, file)
    for (const gone of ['/etc/shadow', `/proc/${neighbour.pid}/environ`, secrets.socket]) {
      assert.match(String(seen.found[gone]), /^(ENOENT|EACCES)$/, gone)
    }
    for (const folder of [
      join(bench.stateDir, 'run'),
      join(bench.stateDir, 'work', String(neighbour.handle.data['id'])),
    ]) {
      assert.match(String(seen.found[folder]), /^(ENOENT|EACCES)$/, folder)
    }
    for (const pid of [neighbour.pid ?? 0, process.pid]) assert.equal(seen.found[pid], 'ESRCH')
    for (const file of ['/usr/planted', '/etc/planted'])
      assert.match(String(seen.found[file]), /^(EROFS|EACCES)$/, file)
    assert.equal(seen.found['own'], true)
    assert.equal(seen.found['/tmp/private'], true)
    await assert.rejects(readFile('/tmp/private'), { code: 'ENOENT' })
    assert.deepEqual([seen.capabilities, seen.noNewPrivileges], ['0000000000000000', '1'])
    assert.ok(seen.processes < 6)
    assert.equal(seen.cwd, join(bench.stateDir, 'work', spec.id))
  })

  test(`${sandbox}: a working directory above the state directory shows nothing of it`, {
    skip: missing,
  }, async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'hive-above-'))
    t.after(() => rm(home, { recursive: true, force: true }))
    const stateDir = join(home, 'state')
    await mkdir(stateDir)
    const linked = join(home, 'linked')
    await symlink(stateDir, linked)
    const bench = await useScriptBench(t, { stateDir: linked })
    const files = ['token', 'key', 'hive.db'].map((name) => join(stateDir, name))
    for (const file of files) await writeFile(file, 'secret', { mode: 0o644 })
    await writeFile(join(home, 'project'), 'text')
    const asked = {
      read: [...files, ...files.map((file) => file.replace(stateDir, linked)), join(home, 'project')],
      list: [join(stateDir, 'run')],
      write: [join(home, 'own')],
    }
    const spec = scriptSpec(
      { command: process.execPath, args: [INSIDE, JSON.stringify(asked)], sandbox, workingDir: home },
      { port: null },
    )
    const { handle } = await bench.launch(spec)
    const exit = await within(bench.driver.wait(handle, bench.signal), 20_000, 'the end of the probe')
    assert.equal(exit?.code, 0, await outputOf(stateDir, spec, 'stderr'))
    const { found, cwd } = JSON.parse(await outputOf(stateDir, spec, 'stdout')) as Seen
    for (const hidden of [...asked.read.slice(0, -1), ...asked.list])
      assert.match(String(found[hidden]), /^(ENOENT|EACCES)$/, hidden)
    assert.deepEqual([found[join(home, 'project')], found[join(home, 'own')], cwd], [true, true, home])
    assert.equal(await readFile(join(home, 'own'), 'utf8'), 'planted')
  })

  test(`${sandbox}: a working directory in the state directory or among sockets is refused`, {
    skip: missing,
  }, async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'hive-socket-'))
    t.after(() => rm(home, { recursive: true, force: true }))
    // Not there yet: an engine makes its socket anew at each start.
    const bench = await useScriptBench(t, { engineSockets: [join(home, 'engine', 'docker.sock')] })
    const own = [bench.stateDir, join(bench.stateDir, 'run'), join(bench.stateDir, 'work')]
    for (const workingDir of [...own, '/run', home, join(home, 'engine')]) {
      const spec = scriptSpec({ command: 'true', sandbox, workingDir }, { port: null })
      await assert.rejects(bench.launch(spec), (error: unknown) => {
        assert.ok(error instanceof LaunchRefused)
        assert.match(error.message, /working_dir/)
        return true
      })
    }
  })

  for (const containment of CONTAINMENTS)
    for (const user of [null, '4242:4343']) {
      const who = user === null ? 'Hive’s user' : 'another user'
      const skip = missing || (containment === 'cgroup' && noCgroup) || notRoot || (user !== null && noAccount(sandbox))
      test(`${sandbox}: a command run beside the worker is in the sandbox, too (${who}, ${containment})`, {
        skip,
      }, async (t) => {
        const bench = await useScriptBench(t, { forceContainment: containment })
        await chmod(bench.stateDir, 0o711)
        const { files, socket } = await plantSecrets(t, bench.stateDir)
        const spec = {
          ...shSandboxed('cd /tmp; echo there; exec sleep 1000', sandbox, user),
          env: { COCOON_CHECK: 'a b' },
        }
        const { handle } = await bench.launch(spec)
        await until(() => outputOf(bench.stateDir, spec, 'stdout'), 5_000, 'the worker in its directory')
        const { driver, signal } = bench
        assert.ok(canExec(driver))
        const holds = async (script: string) => {
          const code = await driver.exec(handle, ['sh', '-c', script], signal)
          assert.deepEqual(code, { code: 0 }, script)
        }
        await holds('test "$COCOON_CHECK" = "a b" && test "$PWD" = /tmp')
        for (const file of files) await holds(`! cat ${file} 2>/dev/null`)
        await holds(`! test -e ${socket}`)
        await holds(`! kill -0 ${process.pid} 2>/dev/null && test $(ls -d /proc/[0-9]* | wc -l) -lt 8`)
        await holds('grep -q "CapEff:.0000000000000000" /proc/self/status && grep -q "NoNewPrivs:.1" /proc/self/status')
        await holds('grep -q "CapBnd:.0000000000000000" /proc/self/status')
        if (user !== null) await holds('test "$(id -u):$(id -g):$(id -G)" = 4242:4343:4343')
        assert.deepEqual(await driver.exec(handle, ['sh', '-c', 'exit 5'], signal), { code: 5 })
        const limit = AbortSignal.any([signal, AbortSignal.timeout(300)])
        await assert.rejects(driver.exec(handle, ['sleep', '1000'], limit), { name: 'TimeoutError' })
        await driver.stop(handle, 0, signal)
        await assert.rejects(driver.exec(handle, ['true'], signal))
      })
    }

  test(`${sandbox}: a command in the state directory is shown alone`, { skip: missing }, async (t) => {
    const bench = await useScriptBench(t)
    const command = join(bench.stateDir, 'program')
    await writeFile(command, '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    const spec = scriptSpec({ command, sandbox }, { port: null })
    // The file may be shown alone although it lies in the state directory; its neighbours stay hidden.
    const { handle } = await bench.launch(spec)
    assert.deepEqual(await bench.driver.wait(handle, bench.signal), { code: 0, signal: null, oom: false })
  })
}

interface Seen {
  readonly found: Readonly<Record<string, unknown>>
  readonly capabilities: string
  readonly noNewPrivileges: string
  readonly processes: number
  readonly cwd: string
}

function inside(sandbox: (typeof SANDBOXES)[number], asked: object): LaunchSpec {
  return scriptSpec({ command: process.execPath, args: [INSIDE, JSON.stringify(asked)], sandbox }, { port: null })
}

/** firejail runs nobody without an account. */
function noAccount(sandbox: (typeof SANDBOXES)[number]): string | false {
  return sandbox === 'firejail' && 'there is no account to run it as'
}

function shSandboxed(text: string, sandbox: (typeof SANDBOXES)[number], user: string | null = null): LaunchSpec {
  return scriptSpec({ command: 'sh', args: ['-c', text], sandbox, user }, { port: null })
}

async function outcome(bench: Awaited<ReturnType<typeof useScriptBench>>, spec: LaunchSpec): Promise<Seen> {
  const { handle } = await bench.launch(spec)
  const exit = await within(bench.driver.wait(handle, bench.signal), 20_000, 'the end of the probe')
  assert.equal(exit?.code, 0, await outputOf(bench.stateDir, spec, 'stderr'))
  return JSON.parse(await outputOf(bench.stateDir, spec, 'stdout')) as Seen
}

/** Files that only Hive may read, and a socket like an engine's below /run. */
async function plantSecrets(t: TestContext, stateDir: string) {
  const files = ['token', 'key', 'hive.db'].map((name) => join(stateDir, name))
  for (const file of files) await writeFile(file, 'secret', { mode: 0o644 })
  const folder = join('/run', `hive-test-${process.pid}-${stateDir.slice(-6)}`)
  await mkdir(folder, { recursive: true })
  const socket = join(folder, 'docker.sock')
  const server = createServer((connection) => connection.destroy())
  t.after(async () => {
    server.close()
    await rm(folder, { recursive: true, force: true })
  })
  await once(server.listen(socket), 'listening')
  return { files, socket }
}

async function processesBelow(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const direct = children.split(' ').filter(Boolean).map(Number)
  return [...direct, ...(await Promise.all(direct.map(processesBelow))).flat()]
}
