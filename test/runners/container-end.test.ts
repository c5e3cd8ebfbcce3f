import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ExitFiles } from '../../src/runners/container/conmon.ts'
import { waitForExit } from '../../src/runners/container/end.ts'
import type { Engine } from '../../src/runners/container/engine.ts'
import { waitedCode, waitRequest } from '../../src/runners/container/wait-request.ts'
import { until } from '../support/deadline.ts'

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

describe('an end that is told early', () => {
  /** An engine whose wait never answers, as Podman's while it cleans up. */
  const silent = () => {
    const aborted: unknown[] = []
    const wait = (_id: string, over: AbortSignal) =>
      new Promise((_, reject) => {
        over.addEventListener('abort', () => {
          aborted.push(over.reason)
          reject(over.reason)
        })
      })
    return { aborted, engine: { facts: { flavour: 'podman' }, wait } as unknown as Engine }
  }

  it('is not held up by an engine that does not answer, which is let go', async () => {
    const { engine, aborted } = silent()
    const exit = { code: 3, signal: null, oom: false }
    assert.deepEqual(await waitForExit(engine, 'c', signal, { lookOut: async () => async () => exit }), exit)
    assert.equal(aborted.length, 1)
  })

  it('is waited for at the engine where it cannot be told', async () => {
    assert.deepEqual(await waitForExit(removing('docker', 4), 'c', signal, { lookOut: async () => null }), {
      code: 4,
      signal: null,
      oom: false,
    })
  })

  it('F36: whose container was gone before it could be read is that of a removal by force', async () => {
    const seen = { lookOut: async () => async () => null }
    const exit = await waitForExit(removing('podman', 0), 'c', signal, seen)
    assert.deepEqual(exit, { code: 137, signal: 'SIGKILL', oom: false })
  })

  it('is in the file that the monitor writes, also if it was there before', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'hive-exits-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const files = new ExitFiles()
    t.after(() => files.close())
    const told: Record<string, number | null> = {}
    for (const id of ['a', 'b', 'c'])
      files.onExit(directory, id, (code) => {
        told[id] = code
      })
    const letGo = files.onExit(directory, 'd', () => assert.fail('it was let go'))
    letGo()
    for (const [id, code] of Object.entries({ d: '1', a: '137', b: '0' })) {
      await writeFile(join(directory, `${id}.tmp`), code)
      await rename(join(directory, `${id}.tmp`), join(directory, id))
    }
    await until(() => Object.keys(told).length === 2, 10_000, 'both are told')
    assert.deepEqual(told, { a: 137, b: 0 })
    await new Promise<void>((resolve) => {
      files.onExit(directory, 'a', (code) => {
        assert.equal(code, 137)
        resolve()
      })
    })
  })
})

it('Podman is asked to wait in its own way: in Docker’s it looks without a pause', () => {
  const facts = {
    id: '',
    rootless: false,
    version: '',
    isLocal: true,
    limits: { memory: true, cpus: true, pids: true },
  }
  const { path, query } = waitRequest({ ...facts, flavour: 'podman' }, 'c')
  assert.equal(path, '/v4.0.0/libpod/containers/c/wait')
  assert.equal(query?.['interval'], '250ms')
  assert.equal(waitRequest({ ...facts, flavour: 'docker' }, 'c').path, '/containers/c/wait')
  assert.deepEqual([{ StatusCode: 3 }, 3, -1, null, 'x'].map(waitedCode), [3, 3, -1, null, null])
})
