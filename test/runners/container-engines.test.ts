import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { ContainerConfig } from '../../src/kinds/kind.ts'
import { containerName, createOptions } from '../../src/runners/container/create-options.ts'
import { readHandle } from '../../src/runners/container/handle.ts'
import { ownHardLimits } from '../../src/runners/container/host-limits.ts'
import { type Launched, LaunchRefused, type LaunchSpec, type RunnerHandle } from '../../src/runners/driver.ts'
import { bindingOf, type ContainerBench, containerConfig, openContainerBench } from '../support/container-bench.ts'
import { until, within } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { engineOrSkip, TEST_IMAGES, type TestEngine } from '../support/engines.ts'
import { freePort } from '../support/free-port.ts'

interface RawContainer {
  readonly HostConfig: Readonly<Record<string, unknown>>
  readonly Mounts: readonly { readonly Name?: string }[]
}

for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
  const engine = engineOrSkip(name)
  const open = (t: TestContext): ContainerBench => openContainerBench(t, engine)
  const inspectRaw = async ({ data }: RunnerHandle): Promise<RawContainer> =>
    (await engineRequest(engine.host, 'GET', `/containers/${data['containerId']}/json`)).body as RawContainer

  describe(`${name}: a container`, { skip: engine.skip }, () => {
    it('F63: is not privileged, has its capabilities dropped and no way to the host', async (t) => {
      const { driver, signal, specWithPort } = open(t)
      const { handle } = await driver.start(await specWithPort({ image: TEST_IMAGES.httpd }), signal)
      const { HostConfig: host, Mounts: mounts } = await inspectRaw(handle)
      assert.equal(host['Privileged'], false)
      assert.equal(host['Init'], true)
      assert.ok(['', 'no'].includes((host['RestartPolicy'] as { Name: string }).Name))
      for (const key of ['NetworkMode', 'PidMode', 'IpcMode', 'UTSMode']) assert.notEqual(host[key], 'host', key)
      assert.ok((host['SecurityOpt'] as string[]).some((option) => option.startsWith('no-new-privileges')))
      assert.deepEqual(mounts, [])
      assert.deepEqual((host['Devices'] as unknown[] | null) ?? [], [])
      if (name !== 'podman-rootless') assert.equal(host['PidsLimit'], 512)
    })

    it('F63: holds just the capabilities of its kind, and cannot gain any', async (t) => {
      const bench = open(t)
      const { security } = containerConfig({ image: 'x' })
      const own = { security: { ...security, capAdd: ['CHOWN', 'KILL'] } }
      const status = await printed(bench, own, 'cat /proc/self/status')
      const line = (key: string): string => new RegExp(`^${key}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
      // capabilities(7): CHOWN is bit 0, KILL bit 5.
      assert.equal(BigInt(`0x${line('CapBnd')}`), 0b10_0001n)
      assert.equal(line('NoNewPrivs'), '1')
    })

    it('F28: has the engine’s init as its first process, which reaps what is left behind', async (t) => {
      assert.match(await printed(open(t), {}, 'cat /proc/1/comm'), /^(docker-init|catatonit|tini|podman-init)$/m)
    })

    it('F38: whose host port is taken is refused for that reason, and nothing of it stays', async (t) => {
      const { driver, signal, spec } = open(t)
      const stranger = createServer().listen(0, '127.0.0.1')
      await once(stranger, 'listening')
      t.after(() => stranger.close())
      const { port } = stranger.address() as { port: number }
      const taken = spec({ image: TEST_IMAGES.httpd }, { ports: [bindingOf(port)] })
      await assert.rejects(driver.start(taken, signal), (error: Error) => {
        assert.ok(error instanceof LaunchRefused)
        assert.equal(error.reason, 'port')
        assert.match(error.message, new RegExp(`host port ${port} is taken`))
        return true
      })
      assert.deepEqual(await driver.list(signal), [])
      const moved = { ...taken, ports: [bindingOf(await freePort())] }
      assert.equal((await driver.start(moved, signal)).adopted, false)
    })

    it('whose name a stranger has is refused, and the stranger left alone', async (t) => {
      const { driver, signal, spec, instanceId } = open(t)
      const mine = spec({ image: TEST_IMAGES.sleep, containerName: `hive-test-${instanceId}` })
      const containerName = (mine.config as { containerName: string }).containerName
      const ulimits = [
        { Name: 'nofile', Soft: 1_024, Hard: 1_024 },
        { Name: 'nproc', Soft: 1_024, Hard: 1_024 },
      ]
      const body = { Image: TEST_IMAGES.sleep, HostConfig: { Ulimits: ulimits } }
      const made = await engineRequest(engine.host, 'POST', `/containers/create?name=${containerName}`, body)
      assert.equal(made.status, 201, JSON.stringify(made.body))
      t.after(() => engineRequest(engine.host, 'DELETE', `/containers/${containerName}?force=true`))
      await assert.rejects(driver.start(mine, signal), (error: Error) => {
        assert.ok(error instanceof LaunchRefused)
        assert.match(error.message, /name hive-test-\S+ is taken by a container that is not of this service/)
        return true
      })
      assert.equal((await engineRequest(engine.host, 'GET', `/containers/${containerName}/json`)).status, 200)
    })

    it('F2: that was only created has no run to tell of, and start goes on from it', async (t) => {
      const { driver, signal, specWithPort, instanceId } = open(t)
      const spec = await specWithPort({ image: TEST_IMAGES.httpd })
      await createdOnly(engine, spec, instanceId)
      const [object] = await driver.list(signal)
      assert.ok(object)
      assert.equal(object.running, false)
      assert.deepEqual(await driver.inspect(object.handle, signal), { state: 'missing' })
      const launched = await driver.start(spec, signal)
      assert.deepEqual([launched.containerId, launched.adopted], [readHandle(object.handle).containerId, false])
    })

    it('F2: is started once, however many starts of it meet', async (t) => {
      const bench = open(t)
      const { signal, specWithPort, instanceId } = bench
      const spec = await specWithPort({ image: TEST_IMAGES.httpd })
      await createdOnly(engine, spec, instanceId)
      const began = Math.floor(Date.now() / 1_000)
      const launches = await Promise.all(Array.from({ length: 8 }, () => bench.driver.start(spec, signal)))
      assert.equal(new Set(launches.map(({ containerId, pid }) => `${containerId} ${pid}`)).size, 1)
      const { containerId, startedAt } = launches[0] as Launched
      assert.ok(launches.every((launched) => launched.startedAt === startedAt))
      assert.equal(await startsSeen(engine, String(containerId), began), 1)
    })

    it('keeps its files from attempt to attempt, and loses them only when re-created', async (t) => {
      const { driver, signal, spec } = open(t)
      const count = 'echo x >>/tmp/runs; exit $(wc -l </tmp/runs)'
      const one = spec({ image: TEST_IMAGES.sleep, args: ['sh', '-c', count] })
      const first = await driver.start(one, signal)
      assert.equal((await driver.wait(first.handle, signal))?.code, 1)
      const two = { ...one, attempt: 2, handle: first.handle }
      const second = await driver.start(two, signal)
      assert.equal(second.containerId, first.containerId)
      assert.equal((await driver.wait(second.handle, signal))?.code, 2)
      const again = await driver.start(two, signal)
      assert.equal(again.adopted, true, 'attempt 2 has run: it is not run twice')
      const anew = { ...one, attempt: 3, handle: second.handle, recreate: true }
      const third = await driver.start(anew, signal)
      assert.notEqual(third.containerId, first.containerId)
      assert.equal((await driver.wait(third.handle, signal))?.code, 1)
      const repeated = await driver.start(anew, signal)
      assert.deepEqual([repeated.containerId, repeated.adopted], [third.containerId, true])
    })

    it('that ran keeps its host ports: others need recreate', async (t) => {
      const { driver, signal, specWithPort } = open(t)
      const spec = await specWithPort({ image: TEST_IMAGES.httpd })
      const { handle } = await driver.start(spec, signal)
      await driver.stop(handle, 2_000, signal)
      const moved = { ...spec, attempt: 2, handle, ports: [bindingOf(await freePort())] }
      await assert.rejects(driver.start(moved, signal), /other host ports; start it with recreate/)
      const { endpoint } = await driver.start({ ...moved, recreate: true }, signal)
      assert.equal(endpoint?.port, moved.ports[0]?.hostPort)
    })

    it('F36: that is paused still runs, and stops', async (t) => {
      if (name === 'podman-rootless') return t.skip('rootless Podman cannot pause on cgroups v1')
      const { driver, signal, spec } = open(t)
      const { handle } = await driver.start(spec({ image: TEST_IMAGES.sleep }), signal)
      const { containerId } = readHandle(handle)
      const paused = await engineRequest(engine.host, 'POST', `/containers/${containerId}/pause`)
      assert.equal(paused.status, 204, JSON.stringify(paused.body))
      assert.equal((await driver.inspect(handle, signal)).state, 'running')
      await within(driver.stop(handle, 1_000, signal), 20_000, 'stop')
      assert.equal((await driver.inspect(handle, signal)).state, 'exited')
    })

    it('F26: that eats more memory than it may is killed, and the exit says why', async (t) => {
      if (name === 'podman-rootless') return t.skip('rootless Podman has no memory limits on cgroups v1')
      const { driver, signal, spec } = open(t)
      const resources = { memoryBytes: 16 << 20, cpus: 1, pids: 64, nofile: 512, nproc: null }
      const { handle } = await driver.start(spec({ image: TEST_IMAGES.hog, resources }), signal)
      const exit = await within(driver.wait(handle, signal), 20_000, 'wait')
      assert.deepEqual([exit?.code, exit?.signal], [137, 'SIGKILL'])
      assert.equal(exit?.oom, true)
    })

    it('that asks for limits is available where they hold, else it is not, and refused with the reason', async (t) => {
      const { driver, signal, spec } = open(t)
      await driver.probe(signal)
      const one = (resources: object) =>
        spec({ image: TEST_IMAGES.sleep, resources: { ...containerConfig({ image: 'x' }).resources, ...resources } })
      assert.equal(driver.describe(one({ pids: 512, nofile: 256 }).config).available, true)
      for (const [field, resources] of [
        ['memory', { memoryBytes: 32 << 20 }],
        ['cpus', { cpus: 0.5 }],
        ['pids', { pids: 20 }],
      ] as const) {
        const limited = one(resources)
        const { available, reason } = driver.describe(limited.config)
        assert.equal(available, name !== 'podman-rootless', field)
        if (available) continue
        assert.match(reason ?? '', new RegExp(`no cgroup controller to make resources\\.${field} hold`))
        await assert.rejects(driver.start(limited, signal), (error: Error) => {
          assert.ok(error instanceof LaunchRefused)
          return error.message === reason
        })
      }
      assert.deepEqual(await driver.list(signal), [])
    })

    for (const [command, reason] of [
      ['/no/such', /there is no command \/no\/such/],
      ['no-such', /there is no command no-such/],
      ['/etc/passwd', /\/etc\/passwd is not executable/],
      ['/etc', /\/etc is a directory/],
    ] as const) {
      it(`F29: with the command ${command} is refused for good, and nothing of it stays`, async (t) => {
        const { driver, signal, spec } = open(t)
        const bad = spec({ image: TEST_IMAGES.sleep, command: [command] })
        await assert.rejects(driver.start(bad, signal), (error: Error) => {
          assert.ok(error instanceof LaunchRefused)
          assert.match(error.message, reason)
          return true
        })
        assert.deepEqual(await driver.list(signal), [])
      })
    }

    it('leaves its named volumes, and takes them along when asked', async (t) => {
      const { driver, signal, spec, instanceId } = open(t)
      const volume = `hive-test-${instanceId}`
      t.after(() => engineRequest(engine.host, 'DELETE', `/volumes/${volume}?force=true`))
      const volumes = [{ kind: 'volume', source: volume, target: '/kept', readOnly: false }] as const
      const exists = async (name: string): Promise<boolean> => (await volumeNames(engine.host)).includes(name)
      const first = await driver.start(spec({ image: TEST_IMAGES.twoPorts, volumes }), signal)
      const mounted = (await inspectRaw(first.handle)).Mounts.map(({ Name = '' }) => Name)
      const anonymous = mounted.filter((each) => each !== volume)
      assert.equal(anonymous.length, 1, 'the image has one of its own')
      await driver.remove(first.handle, { volumes: false }, signal)
      assert.deepEqual([await exists(volume), await exists(anonymous[0] ?? '')], [true, false])
      const second = await driver.start(spec({ image: TEST_IMAGES.twoPorts, volumes }), signal)
      await engineRequest(engine.host, 'DELETE', `/containers/${second.containerId}?force=true`)
      await driver.remove(second.handle, { volumes: true }, signal)
      assert.equal(await exists(volume), false, 'also when the container went first')
    })

    it('F40: that opens its port late listens only then, whoever accepts for it before', async (t) => {
      const { driver, signal, specWithPort } = open(t)
      const wait = 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exec busybox httpd -f -p 8080 -h /www'
      const spec = await specWithPort({ image: TEST_IMAGES.httpd, args: ['sh', '-c', wait] })
      const { handle } = await driver.start(spec, signal)
      const [binding = bindingOf(0)] = spec.ports
      assert.equal(await driver.listens(handle, binding, signal), false)
      await execute(engine.host, handle, ['touch', '/tmp/go'])
      await until(() => driver.listens(handle, binding, signal), 10_000, 'the port opens')
      assert.equal(await driver.listens(handle, bindingOf(1, 9_999), signal), false)
    })

    it('F40: that listens on its own loopback only does not listen, and is warned about once', async (t) => {
      const { driver, signal, warnings, specWithPort } = open(t)
      const args = ['busybox', 'httpd', '-f', '-p', '127.0.0.1:8080', '-h', '/www']
      const spec = await specWithPort({ image: TEST_IMAGES.httpd, args })
      const { handle } = await driver.start(spec, signal)
      const [binding = bindingOf(0)] = spec.ports
      const warned = async (): Promise<boolean> => {
        assert.equal(await driver.listens(handle, binding, signal), false)
        return warnings.length > 0
      }
      await until(warned, 10_000, 'the warning')
      await warned()
      assert.equal(warnings.length, 1)
      assert.match(warnings[0] ?? '', /own loopback only: let it bind 0\.0\.0\.0/)
    })
  })
}

/** Runs a shell line to its end and gives back what it wrote to a file, by way of the exit of its server. */
async function printed(bench: ContainerBench, config: Partial<ContainerConfig>, line: string): Promise<string> {
  const args = ['sh', '-c', `(${line}) >/www/out 2>&1; exec busybox httpd -f -p 8080 -h /www`]
  const spec = await bench.specWithPort({ image: TEST_IMAGES.httpd, ...config, args })
  const { handle, endpoint } = await bench.driver.start(spec, bench.signal)
  const [binding = bindingOf(0)] = spec.ports
  await until(() => bench.driver.listens(handle, binding, bench.signal), 15_000, 'the line has run')
  return (await fetch(`http://127.0.0.1:${endpoint?.port}/out`, { signal: bench.signal })).text()
}

/** Creates the container of a service as a start does that got no further. */
async function createdOnly({ host, type, name }: TestEngine, spec: LaunchSpec, instanceId: string): Promise<void> {
  const config = spec.config as ContainerConfig
  const has = name !== 'podman-rootless'
  const limits = { memory: has, cpus: has, pids: has }
  const facts = { flavour: type, rootless: name === 'podman-rootless', limits } as const
  const body = createOptions(spec, config, { instanceId, engine: facts, hardLimits: ownHardLimits(), seccomp: null })
  const path = `/containers/create?name=${containerName(spec, config, instanceId)}`
  const made = await engineRequest(host, 'POST', path, body)
  assert.equal(made.status, 201, JSON.stringify(made.body))
}

/** How often the engine says that it has started a container. @param sinceS  Unix seconds. */
async function startsSeen({ host, type }: TestEngine, containerId: string, sinceS: number): Promise<number> {
  const filters = encodeURIComponent(JSON.stringify({ container: [containerId], event: ['start'] }))
  const end = type === 'docker' ? `until=${(Date.now() / 1_000).toFixed(3)}` : 'stream=false'
  const { status, body } = await engineRequest(host, 'GET', `/events?since=${sinceS}&${end}&filters=${filters}`)
  assert.equal(status, 200, JSON.stringify(body))
  return (typeof body === 'string' ? body : JSON.stringify(body)).match(/"Action":"start"/g)?.length ?? 0
}

async function volumeNames(host: string): Promise<readonly string[]> {
  const { body } = await engineRequest(host, 'GET', '/volumes')
  return ((body as { Volumes: { Name: string }[] | null }).Volumes ?? []).map(({ Name }) => Name)
}

async function execute(host: string, handle: RunnerHandle, Cmd: readonly string[]): Promise<void> {
  const { containerId } = readHandle(handle)
  const made = await engineRequest(host, 'POST', `/containers/${containerId}/exec`, { Cmd, AttachStdout: true })
  const { Id } = made.body as { Id: string }
  await engineRequest(host, 'POST', `/exec/${Id}/start`, { Detach: true, Tty: false })
}
