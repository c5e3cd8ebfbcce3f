import assert from 'node:assert/strict'
import { type PortBinding, type RunnerDriver, type RunnerHandle, tellsStats } from '../../src/runners/driver.ts'
import type { Usage } from '../../src/runners/usage/usage.ts'
import { until } from './deadline.ts'
import type { Bench } from './runner-contract.ts'

type Contract = (title: string, body: (bench: Bench) => Promise<void>) => void

/** What holds for every driver that tells what its cocoons use. */
export function statsTests(contract: Contract): void {
  contract('stats: a running cocoon has memory, processes, threads and open files', async (bench) => {
    if (!tellsStats(bench.driver)) return
    const { spec, handle } = await bench.launch('httpd')
    await until(() => bench.driver.listens(handle, portOf(spec.ports), bench.signal), bench.ms, 'listens')
    const usage = await usageOf(bench.driver, handle, bench)
    assert.ok((usage.cpuMs ?? -1) >= 0, 'cpu is known')
    assert.ok((usage.memoryBytes ?? 0) > 10_000 && (usage.memoryBytes ?? 0) < 1e9, `${usage.memoryBytes} bytes`)
    assert.ok((usage.processes ?? 0) >= 1 && (usage.threads ?? 0) >= (usage.processes ?? 0))
    assert.ok((usage.openFiles ?? 0) >= 3, 'it has at least its three standard files')
  })

  contract('stats: what is not known is null with a reason, and what is known has none', async (bench) => {
    if (!tellsStats(bench.driver)) return
    const { handle } = await bench.launch('sleep')
    const { unknown, memoryLimitBytes, ...usage } = await usageOf(bench.driver, handle, bench)
    const names = { cpuMs: 'cpu', memoryBytes: 'memory', openFiles: 'open_files' } as const
    for (const [key, value] of Object.entries(usage)) {
      const name = names[key as keyof typeof names] ?? key
      assert.equal(value === null, name in unknown, `${name} is ${value}`)
    }
    assert.ok(memoryLimitBytes === null || !('memory_limit' in unknown))
    assert.ok(Object.values(unknown).every((reason) => reason.length > 10))
  })

  contract('stats: a native process shares a network, a container counts what it sends', async (bench) => {
    if (!tellsStats(bench.driver)) return
    const { spec, handle, endpoint } = await bench.launch('httpd')
    await until(() => bench.driver.listens(handle, portOf(spec.ports), bench.signal), bench.ms, 'listens')
    const { network, unknown } = await usageOf(bench.driver, handle, bench)
    if (handle.runner === 'script') {
      assert.match(unknown.network ?? '', /shares the network/)
      return
    }
    assert.ok(network && endpoint)
    // Traffic of rootless Podman's published ports goes through the container's loopback, which is left out.
    if (await isRootless(bench.driver, handle, bench)) return
    await fetch(`http://${endpoint.host}:${endpoint.port}/`).then((answer) => answer.text())
    const after = (await usageOf(bench.driver, handle, bench)).network
    assert.ok(after && after.rxBytes > network.rxBytes && after.txBytes > network.txBytes)
  })

  contract('stats: a cocoon that has ended, or is gone, uses nothing', async (bench) => {
    const { driver } = bench
    if (!tellsStats(driver)) return
    const { handle } = await bench.launch('sleep')
    await usageOf(driver, handle, bench)
    await driver.stop(handle, 0, bench.signal)
    assert.equal(await driver.stats(handle, bench.signal), null)
    await driver.remove(handle, { volumes: true }, bench.signal)
    assert.equal(await driver.stats(handle, bench.signal), null)
  })

  contract('stats: another attempt of the same cocoon begins anew', async (bench) => {
    const { driver } = bench
    if (!tellsStats(driver)) return
    const first = await bench.launch('sleep')
    await usageOf(driver, first.handle, bench)
    await driver.stop(first.handle, 0, bench.signal)
    const again = { ...first.spec, attempt: 2, handle: first.handle }
    await driver.prepare(again, () => {}, bench.signal)
    const { handle } = await driver.start(again, bench.signal)
    // With the same driver, which knows the process of the first attempt.
    assert.ok(((await usageOf(driver, handle, bench)).processes ?? 0) >= 1)
  })
}

async function usageOf(driver: RunnerDriver, handle: RunnerHandle, { signal }: Bench): Promise<Usage> {
  assert.ok(tellsStats(driver))
  const usage = await driver.stats(handle, signal)
  assert.ok(usage, 'it runs')
  return usage
}

/** No cgroup accounts for its memory: so it is on this kind of host, and only there. */
async function isRootless(driver: RunnerDriver, handle: RunnerHandle, bench: Bench): Promise<boolean> {
  return 'memory_limit' in (await usageOf(driver, handle, bench)).unknown
}

function portOf([binding]: readonly PortBinding[]): PortBinding {
  assert.ok(binding, 'the spec has a port')
  return binding
}
