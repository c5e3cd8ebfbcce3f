import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { containerOf, LocalContainers } from '../../src/runners/container/local-containers.ts'
import { openContainerBench } from '../support/container-bench.ts'
import { until } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES } from '../support/engines.ts'

const [OUTER, INNER] = ['a'.repeat(64), 'b'.repeat(64)]

describe('containers found without their engine', () => {
  it('by the innermost id in their cgroup, never by that of their monitor', () => {
    assert.equal(containerOf(`0::/\n9:name=systemd:/docker/${OUTER}\n`), OUTER)
    assert.equal(containerOf(`0::/system.slice/docker-${OUTER}.scope`), OUTER)
    assert.equal(containerOf(`0::/machine.slice/libpod-${OUTER}.scope/container`), OUTER)
    assert.equal(containerOf(`4:memory:/docker/${OUTER}/docker/${INNER}`), INNER)
    assert.equal(containerOf(`0::/machine.slice/libpod-conmon-${OUTER}.scope`), null)
    assert.equal(containerOf('0::/user.slice\n1:cpu:/'), null)
    assert.equal(containerOf(''), null)
  })

  for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
    const engine = engineOrSkip(name)

    it(`${name}: a running one has a process, an ended one has none`, { skip: engine.skip }, async (t) => {
      const { driver, signal, specWithPort } = openContainerBench(t, engine)
      const launched = await driver.start(await specWithPort({ image: TEST_IMAGES.httpd }), signal)
      const pid = new LocalContainers().pidOf(launched.containerId ?? '')
      assert.ok(pid !== null && pid > 1, 'it is found')
      await driver.stop(launched.handle, 0, signal)
      const isGone = () => new LocalContainers().pidOf(launched.containerId ?? '') === null
      await until(isGone, 10_000, 'nothing of it is left')
    })
  }
})
