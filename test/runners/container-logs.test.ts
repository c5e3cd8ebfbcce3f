import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { canLog, type LogCapable, type RunnerDriver, type RunnerHandle } from '../../src/runners/driver.ts'
import { openContainerBench } from '../support/container-bench.ts'
import { within } from '../support/deadline.ts'
import { engineRequest } from '../support/engine-request.ts'
import { engineOrSkip, TEST_IMAGES, type TestEngine } from '../support/engines.ts'

const LINES = 150
/** A file turns over every few lines, and is read in between. */
const SCRIPT = `i=0; while [ $i -lt ${LINES} ]; do echo "$i ${'x'.repeat(60)}"; usleep 1000; i=$((i+1)); done`
const ULIMITS = ['nofile', 'nproc'].map((Name) => ({ Name, Soft: 512, Hard: 512 }))

/** A container of this bench whose log turns over all the time. */
async function create(engine: TestEngine, instance: string): Promise<string> {
  const size = { 'max-size': '2k' }
  const body = {
    Image: TEST_IMAGES.sleep,
    Cmd: ['sh', '-c', SCRIPT],
    Labels: { 'hive.instance': instance, 'hive.id': randomUUID(), 'hive.attempt': '1' },
    HostConfig: {
      Init: true,
      LogConfig: { Type: 'json-file', Config: engine.type === 'docker' ? { ...size, 'max-file': '3' } : size },
      Ulimits: ULIMITS,
    },
  }
  const made = await engineRequest(engine.host, 'POST', '/containers/create', body)
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return (made.body as { Id: string }).Id
}

/** Reads until the container has ended and nothing is left; leaves off and goes on again now and then. */
async function readAll(
  driver: RunnerDriver & LogCapable,
  handle: RunnerHandle,
  { from, signal }: { readonly from: string | null; readonly signal: AbortSignal },
) {
  const lines: string[] = []
  let position = from
  let batches = 0
  const take = async (follow: boolean, over: AbortSignal, most: number) => {
    for await (const batch of driver.logs(handle, { position, follow }, over)) {
      for (const { lost, bytes } of batch.pieces) lines.push(lost === null ? String(bytes) : 'LOST')
      position = batch.position
      if (++batches % most === 0) return
    }
  }
  const over = new AbortController()
  const ended = driver.wait(handle, signal).finally(() => over.abort())
  while (!over.signal.aborted)
    await take(true, over.signal, 7).catch((error: unknown) => over.signal.aborted || Promise.reject(error))
  await ended
  await take(false, signal, Number.POSITIVE_INFINITY)
  return { lines, position: position as string | null }
}

for (const name of ['docker', 'podman', 'podman-rootless'] as const) {
  const engine = engineOrSkip(name)
  const open = async (t: TestContext) => {
    const bench = openContainerBench(t, engine)
    const id = await create(engine, bench.instanceId)
    const [object] = await bench.driver.list(bench.signal)
    assert.ok(object && canLog(bench.driver))
    return { id, handle: object.handle, driver: bench.driver, signal: bench.signal }
  }

  describe(`${name}: a log that turns over`, { skip: engine.skip }, () => {
    it('F62: is read over a restart of its container: each line once, in order, or marked as lost', async (t) => {
      const { id, handle, driver, signal } = await open(t)
      let position: string | null = null
      for (const run of [1, 2]) {
        await engineRequest(engine.host, 'POST', `/containers/${id}/start`)
        const read: Awaited<ReturnType<typeof readAll>> = await within(
          readAll(driver, handle, { from: position, signal }),
          50_000,
          `run ${run}`,
        )
        position = read.position
        assertOnce(read.lines, 1)
        assert.equal(read.lines.at(-1)?.split(' ')[0], String(LINES - 1), 'the last line is there')
      }
    })

    it('F62: is read once by the API, too, by which a Hive reads that may not see the files', {
      skip: name !== 'docker' && 'Podman tells it without what it had not read at a turn-over',
    }, async (t) => {
      const { id, handle, driver, signal } = await open(t)
      await engineRequest(engine.host, 'POST', `/containers/${id}/start`)
      const from = JSON.stringify({ container: id, stdout: null, stderr: null })
      const { lines } = await within(readAll(driver, handle, { from, signal }), 50_000, 'the run')
      // A busy engine passes over files: what is said must be in order.
      assertOnce(lines, Number.POSITIVE_INFINITY)
    })
  })
}

/** @param most  by which the numbers of two lines may differ. */
function assertOnce(lines: readonly string[], most: number): void {
  let before: number | null = null
  for (const line of lines) {
    const number = line === 'LOST' ? null : Number(line.split(' ')[0])
    const step = number === null || before === null ? 1 : number - before
    assert.ok(step >= 1 && step <= most, `line ${number} after line ${before}`)
    before = number
  }
}
