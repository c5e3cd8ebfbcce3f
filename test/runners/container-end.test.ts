import assert from 'node:assert/strict'
import { it } from 'node:test'
import { waitForExit } from '../../src/runners/container/end.ts'
import type { Engine } from '../../src/runners/container/engine.ts'

const signal = new AbortController().signal

/** An engine whose container is gone when its wait answers. */
const removing = (flavour: 'docker' | 'podman', code: number) =>
  ({ facts: { flavour }, wait: async () => code, inspect: async () => null }) as unknown as Engine

it('F36: Podman waits for 0 when the container was removed by force: that is no exit', async () => {
  assert.equal(await waitForExit(removing('podman', 0), 'c', signal), null)
})

it('a code that is not made up is believed, though the container is gone by then', async () => {
  assert.deepEqual(await waitForExit(removing('podman', 137), 'c', signal), {
    code: 137,
    signal: 'SIGKILL',
    oom: false,
  })
  assert.deepEqual(await waitForExit(removing('docker', 0), 'c', signal), { code: 0, signal: null, oom: false })
})
