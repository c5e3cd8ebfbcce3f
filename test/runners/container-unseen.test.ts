import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { openContainerBench } from '../support/container-bench.ts'
import { until, within } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES } from '../support/engines.ts'

describe('a container whose monitor was killed', { concurrency: 4 }, () => {
  for (const name of ['podman', 'podman-rootless'] as const) {
    const engine = engineOrSkip(name)
    const { skip } = engine

    it(`${name}: and which then ends is seen to have ended, and another takes its place`, { skip }, async (t) => {
      const { driver, signal, specWithPort } = openContainerBench(t, engine)
      const spec = await specWithPort({ image: TEST_IMAGES.httpd })
      const first = await driver.start(spec, signal)
      const waiting = driver.wait(first.handle, signal)
      killMonitor(first.containerId ?? '')
      assert.equal((await driver.inspect(first.handle, signal)).state, 'running')
      process.kill(first.pid ?? 0, 'SIGKILL')
      const isEnded = async () => (await driver.inspect(first.handle, signal)).state === 'exited'
      await until(isEnded, 10_000, 'its end is seen')
      assert.deepEqual(await within(waiting, 60_000, 'the wait'), { code: 255, signal: null, oom: false })
      const again = () => driver.start({ ...spec, attempt: 2, handle: first.handle }, signal).catch(() => null)
      // What the engine refuses at first the supervisor asks for again.
      const next = await until(again, 30_000, 'the next attempt')
      assert.equal((await driver.inspect(next.handle, signal)).state, 'running')
      const listed = await driver.list(signal)
      assert.deepEqual(
        listed.map(({ handle }) => handle.data['containerId']),
        [next.containerId],
      )
    })

    it(`${name}: is stopped and removed like any other`, { skip }, async (t) => {
      const { driver, signal, specWithPort } = openContainerBench(t, engine)
      const { handle, containerId } = await driver.start(await specWithPort({ image: TEST_IMAGES.httpd }), signal)
      killMonitor(containerId ?? '')
      await within(driver.stop(handle, 1_000, signal), 30_000, 'the stop')
      assert.notEqual((await driver.inspect(handle, signal)).state, 'running')
      const removed = () =>
        driver.remove(handle, { volumes: true }, signal).then(
          () => true,
          () => false,
        )
      await until(removed, 30_000, 'the removal')
      assert.equal((await driver.inspect(handle, signal)).state, 'missing')
    })
  }
})

/** By its own command line: it names the container. */
function killMonitor(containerId: string): void {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1)
  const monitors = pids.filter((pid) => {
    const argv = argvOf(pid)
    return argv[0]?.endsWith('conmon') === true && argv.includes(containerId) && !argv.includes('-e')
  })
  assert.equal(monitors.length, 1)
  for (const pid of monitors) process.kill(pid, 'SIGKILL')
}

function argvOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}
