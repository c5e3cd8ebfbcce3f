import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { KindSpec } from '../../src/kinds/kind.ts'
import { RunnerSet } from '../../src/runners/runner-set.ts'
import { until, within } from '../support/deadline.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { scriptConfig } from '../support/launch-spec.ts'

const kindOf = (runner_type: KindSpec['runner_type']): KindSpec => ({
  id: runner_type,
  runner_type,
  runner_config: {},
  image: '',
  config: scriptConfig({ command: 'true' }),
})

function open(t: TestContext) {
  const [docker, script] = [new FakeRunner({ type: 'docker' }), new FakeRunner({ type: 'script' })]
  const runners = new RunnerSet([docker.driver(), script.driver()], () => {})
  t.after(() => runners.close())
  return { docker, script, runners }
}

describe('the runners at the start', () => {
  it('F32: one that hangs is not waited for, and a spawn of it is not refused before anything is known', async (t) => {
    const { docker, runners } = open(t)
    const release = docker.hold('probe')
    let returned = 0
    await within(runners.start(50), 4_000, 'the start')
    runners.onReturn(() => returned++)
    assert.match(runners.describe(kindOf('docker')).reason ?? '', /has not answered/)
    assert.equal(runners.describe(kindOf('docker')).available, false)
    assert.equal(runners.whyDown(kindOf('docker')), null)
    assert.equal(runners.state('script').available, true)
    release()
    await until(() => runners.state('docker').available, 4_000, 'the late answer')
    assert.equal(returned, 1, 'what waits for it is told')
  })

  it('F33: one that is down is known to be, and no patience is spent on it', async (t) => {
    const { docker, runners } = open(t)
    docker.unreachable = true
    await within(runners.start(60_000), 10_000, 'the start')
    assert.match(runners.whyDown(kindOf('docker')) ?? '', /down/)
    assert.equal(runners.whyDown(kindOf('script')), null)
    assert.match(runners.whyDown(kindOf('podman')) ?? '', /no such runner/)
  })
})
