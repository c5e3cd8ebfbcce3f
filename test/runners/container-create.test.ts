import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readContainer } from '../../src/runners/container/container-info.ts'
import { type CreateContext, containerName, createOptions } from '../../src/runners/container/create-options.ts'
import { parseEngineAddress } from '../../src/runners/container/engine-address.ts'
import { exitStatus } from '../../src/runners/container/exit-status.ts'
import { ownHardLimits } from '../../src/runners/container/host-limits.ts'
import { listeners } from '../../src/runners/container/listens.ts'
import { ownedObject, statusOf } from '../../src/runners/container/observe.ts'
import { refusedCreate, refusedStart } from '../../src/runners/container/refusals.ts'
import { EngineRefusal } from '../../src/runners/container/request.ts'
import { LaunchRefused } from '../../src/runners/driver.ts'
import { bindingOf, containerConfig, containerSpec } from '../support/container-bench.ts'
import { fakeContainer } from '../support/fake-engine.ts'

const ALL = { memory: true, cpus: true, pids: true }
const NONE = { memory: false, cpus: false, pids: false }
const DOCKER: CreateContext = {
  instanceId: '0123456789abcdef',
  engine: { flavour: 'docker', rootless: false, limits: ALL },
  hardLimits: { nofile: 20_000, nproc: 32_768 },
  seccomp: null,
}
const PODMAN: CreateContext = { ...DOCKER, engine: { flavour: 'podman', rootless: false, limits: ALL } }

function hostConfig(config: Parameters<typeof containerConfig>[0], context = DOCKER, ports = [bindingOf(20_001)]) {
  const full = containerConfig(config)
  return createOptions(containerSpec(full, { ports }), full, context).HostConfig
}

describe('the body of create', () => {
  it('F63: opens no way to the host unless the kind says so', () => {
    const host = hostConfig({ image: 'x' })
    assert.equal(host['Privileged'], false)
    assert.deepEqual(host['CapDrop'], ['ALL'])
    assert.deepEqual(host['SecurityOpt'], ['no-new-privileges'])
    assert.equal(host['PidsLimit'], 512)
    assert.equal(host['Init'], true)
    assert.deepEqual(host['RestartPolicy'], { Name: 'no', MaximumRetryCount: 0 })
    for (const key of [
      'NetworkMode',
      'PidMode',
      'IpcMode',
      'UTSMode',
      'UsernsMode',
      'Devices',
      'Binds',
      'CgroupParent',
    ])
      assert.equal(key in host, false, key)
  })

  it('F63: drops all capabilities even if a config forgets to', () => {
    const { security } = containerConfig({ image: 'x' })
    const host = hostConfig({ image: 'x', security: { ...security, capAdd: [], capDrop: ['NET_RAW'] } })
    assert.deepEqual(host['CapDrop'], ['ALL', 'NET_RAW'])
  })

  it('K13: publishes on loopback only, whatever the binding says', () => {
    const host = hostConfig({ image: 'x' }, DOCKER, [
      { ...bindingOf(20_001), host: '0.0.0.0' },
      { ...bindingOf(20_002, 9090), host: '127.0.0.2' },
    ])
    assert.deepEqual(host['PortBindings'], {
      '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '20001' }],
      '9090/tcp': [{ HostIp: '127.0.0.2', HostPort: '20002' }],
    })
  })

  it('K12: mounts volumes by name and host paths as binds', () => {
    const volumes = [
      { kind: 'volume', source: 'data', target: '/data', readOnly: false },
      { kind: 'host', source: '/srv/x', target: '/x', readOnly: true },
    ] as const
    assert.deepEqual(hostConfig({ image: 'x', volumes })['Mounts'], [
      { Type: 'volume', Source: 'data', Target: '/data', ReadOnly: false },
      { Type: 'bind', Source: '/srv/x', Target: '/x', ReadOnly: true },
    ])
  })

  it('K11: says every part of security, resources and gpus in the engine’s words', () => {
    const security = {
      ...{ capAdd: ['NET_RAW'], capDrop: ['ALL'], readOnly: true, userns: 'keep-id', allowSudo: true },
      ...{ seccomp: '/p.json', apparmor: 'mine', selinux: 'type:x_t' },
    }
    const resources = { memoryBytes: 1 << 20, cpus: 1.5, pids: 64, nofile: 512, nproc: 128 }
    const host = hostConfig({ image: 'x', security, resources, gpus: 2 }, { ...DOCKER, seccomp: '{}' })
    assert.deepEqual(host['SecurityOpt'], ['seccomp={}', 'apparmor=mine', 'label=type:x_t'])
    assert.deepEqual(
      [host['ReadonlyRootfs'], host['UsernsMode'], host['PidsLimit'], host['Memory'], host['MemorySwap']],
      [true, 'keep-id', 64, 1 << 20, 1 << 20],
    )
    assert.equal(host['NanoCpus'], 1_500_000_000)
    assert.deepEqual(host['Ulimits'], [
      { Name: 'nofile', Soft: 512, Hard: 512 },
      { Name: 'nproc', Soft: 128, Hard: 128 },
    ])
    assert.deepEqual(host['DeviceRequests'], [{ Driver: '', Count: 2, Capabilities: [['gpu']] }])
    assert.deepEqual(hostConfig({ image: 'x', gpus: 'all' })['DeviceRequests'], [
      { Driver: '', Count: -1, Capabilities: [['gpu']] },
    ])
  })

  it('has the environment in Env alone', () => {
    const config = containerConfig({ image: 'x' })
    const body = createOptions(containerSpec(config, { env: { A: 'planted', B: 'a=b' } }), config, DOCKER)
    assert.deepEqual(body.Env, ['A=planted', 'B=a=b'])
    assert.equal(JSON.stringify({ ...body, Env: [] }).includes('planted'), false)
  })

  it('overrides command, arguments, user and directory only where the kind does', () => {
    const plain = containerConfig({ image: 'x' })
    const body = createOptions(containerSpec(plain), plain, DOCKER)
    for (const key of ['Entrypoint', 'Cmd', 'User', 'WorkingDir']) assert.equal(key in body, false, key)
    const own = { ...plain, command: ['/a'], args: ['-b', ''], user: '1000:1000', workingDir: '/w' }
    const { Entrypoint, Cmd, User, WorkingDir } = createOptions(containerSpec(own), own, DOCKER)
    assert.deepEqual([Entrypoint, Cmd, User, WorkingDir], [['/a'], ['-b', ''], '1000:1000', '/w'])
  })

  it('keeps logs small: three files of 10 MB, with Podman one', () => {
    assert.deepEqual(hostConfig({ image: 'x' })['LogConfig'], {
      Type: 'json-file',
      Config: { 'max-size': '10m', 'max-file': '3' },
    })
    assert.deepEqual(hostConfig({ image: 'x' }, PODMAN)['LogConfig'], {
      Type: 'json-file',
      Config: { 'max-size': '10m' },
    })
  })

  it('sends a root Podman limits that this host can set, and nobody else any', () => {
    assert.deepEqual(hostConfig({ image: 'x' }, PODMAN)['Ulimits'], [
      { Name: 'nofile', Soft: 20_000, Hard: 20_000 },
      { Name: 'nproc', Soft: 32_768, Hard: 32_768 },
    ])
    const rootless = { ...PODMAN, engine: { ...PODMAN.engine, rootless: true } }
    const able = { ...PODMAN, hardLimits: { nofile: 1_048_576, nproc: null } }
    for (const context of [DOCKER, rootless, able])
      assert.equal('Ulimits' in hostConfig({ image: 'x' }, context), false)
  })

  it('sends no cgroup limits to an engine that has none to give', () => {
    const context = { ...PODMAN, engine: { flavour: 'podman', rootless: true, limits: NONE } } as const
    const resources = { memoryBytes: 1 << 20, cpus: 1, pids: 64, nofile: null, nproc: null }
    const host = hostConfig({ image: 'x', resources }, context)
    for (const key of ['Memory', 'MemorySwap', 'NanoCpus', 'PidsLimit']) assert.equal(key in host, false, key)
  })

  it('names the container after instance and service, or as the kind says', () => {
    const config = containerConfig({ image: 'x' })
    const spec = containerSpec(config, { name: 'web' })
    assert.equal(containerName(spec, config, DOCKER.instanceId), 'hive-01234567-web')
    assert.equal(containerName(spec, { ...config, containerName: 'box-web' }, DOCKER.instanceId), 'box-web')
  })
})

describe('what an engine tells', () => {
  const at = '2026-01-01T00:00:01Z'
  const read = (state: object) => {
    const container = readContainer(fakeContainer('c1', { Running: false, ...state }))
    assert.ok(container)
    return statusOf(container).state
  }

  it('F36: a paused container runs', () => {
    assert.equal(read({ Status: 'paused', Running: true, Paused: true }), 'running')
    assert.equal(read({ Status: 'paused' }), 'running')
  })

  it('Podman’s stopping runs, its stopped has ended', () => {
    assert.equal(read({ Status: 'stopping' }), 'running')
    assert.equal(read({ Status: 'stopped', FinishedAt: at }), 'exited')
  })

  it('a container that was created and never started has no run to tell of', () => {
    assert.equal(read({ Status: 'created', StartedAt: '0001-01-01T00:00:00Z', ExitCode: 128 }), 'missing')
  })

  it('codes above 128 name their signal, others do not', () => {
    assert.deepEqual(exitStatus(143, false), { code: 143, signal: 'SIGTERM', oom: false })
    assert.deepEqual(exitStatus(137, true), { code: 137, signal: 'SIGKILL', oom: true })
    assert.deepEqual(exitStatus(134, false), { code: 134, signal: 'SIGABRT', oom: false })
    for (const code of [0, 7, 128, 255]) assert.deepEqual(exitStatus(code, false), { code, signal: null, oom: false })
  })

  it('nonsense is no container', () => {
    for (const body of [null, [], 'x', {}, { Id: 1, State: { Status: 'running' } }, { Id: 'x' }])
      assert.equal(readContainer(body), null)
  })

  it('a list entry without our labels is not ours', () => {
    assert.equal(ownedObject({ Id: 'x', Labels: null }, 'docker', 'e'), null)
    assert.equal(ownedObject({ Labels: { 'hive.id': '1' } }, 'docker', 'e'), null)
  })

  it('F37: only a missing image is called one; what else is not there is named as the engine names it', () => {
    const config = containerConfig({ image: 'x' })
    const spec = containerSpec(config)
    const refusals = [
      refusedCreate(new EngineRefusal(404, 'No such image: x'), spec, config),
      refusedCreate(new EngineRefusal(404, 'plugin "fast" not found'), spec, config),
      refusedStart(new EngineRefusal(404, 'network inner not found'), spec, config),
      refusedStart(new EngineRefusal(404, 'No such container: c1'), spec, config),
    ]
    assert.deepEqual(
      refusals.map((error) => error instanceof LaunchRefused),
      [true, true, true, false],
    )
    const words = [/image x is not on the engine/, /plugin "fast" not found/, /network inner not found/, /was removed/]
    for (const [index, each] of words.entries()) assert.match(refusals[index]?.message ?? '', each)
  })

  it('F38: a taken port is told apart, and named', () => {
    const config = containerConfig({ image: 'x' })
    const spec = containerSpec(config, { ports: [bindingOf(20_001), bindingOf(20_002, 9090)] })
    for (const text of [
      'driver failed programming external connectivity: Bind for 127.0.0.1:20002 failed: port is already allocated',
      'rootlessport listen tcp 127.0.0.1:20002: bind: address already in use',
    ]) {
      const error = refusedStart(new EngineRefusal(500, text), spec, config)
      assert.ok(error instanceof LaunchRefused)
      assert.equal(error.reason, 'port')
      assert.match(error.message, /host port 20002 is taken/)
    }
  })
})

describe('small readers', () => {
  it('engine addresses are unix sockets or plain TCP', () => {
    assert.deepEqual(parseEngineAddress('unix:///a/b.sock'), { text: 'unix:///a/b.sock', socketPath: '/a/b.sock' })
    assert.deepEqual(parseEngineAddress('/a/b.sock'), { text: 'unix:///a/b.sock', socketPath: '/a/b.sock' })
    assert.deepEqual(parseEngineAddress('tcp://h:1'), { text: 'tcp://h:1', host: 'h', port: 1 })
    assert.deepEqual(parseEngineAddress('http://h'), { text: 'tcp://h:2375', host: 'h', port: 2375 })
    for (const text of ['', 'x', 'unix://a', 'ssh://h', 'tcp://u:secret@h:1'])
      assert.equal(typeof parseEngineAddress(text), 'string', text)
    assert.doesNotMatch(String(parseEngineAddress('tcp://u:secret@h:1')), /secret/)
  })

  it('hard limits come from proc, processes bounded by pid_max', () => {
    const table = 'Max processes   10  96365   processes\nMax open files   1024   20000   files\n'
    const files: Record<string, string> = { '/proc/self/limits': table, '/proc/sys/kernel/pid_max': '32768\n' }
    assert.deepEqual(
      ownHardLimits((path) => files[path] ?? ''),
      { nofile: 20_000, nproc: 32_768 },
    )
    assert.deepEqual(
      ownHardLimits(() => ''),
      { nofile: null, nproc: null },
    )
    const unlimited = table.replaceAll(/96365|20000/g, 'unlimited')
    assert.deepEqual(
      ownHardLimits((path) => (path === '/proc/self/limits' ? unlimited : '')),
      { nofile: null, nproc: null },
    )
  })

  it('F40: only the state LISTEN on the very port counts', () => {
    const row = (local: string, state: string): string => `   0: ${local} 00000000:0000 ${state} 00000000:00000000`
    const table = ['  sl  local_address rem_address   st', row('00000000:1F90', '0A'), row('0100007F:1F91', '0A')]
    const tables = [...table, row('00000000:1F92', '01'), row('00000000:11F90', '0A')].join('\n')
    assert.deepEqual(listeners(tables, 8080), ['00000000'])
    assert.deepEqual(listeners(tables, 8081), ['0100007F'])
    assert.deepEqual(listeners(tables, 8082), [])
  })
})
