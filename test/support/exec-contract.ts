import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { canExec, type RunnerDriver, RunnerUnreachable, tellsStats } from '../../src/runners/driver.ts'
import { until } from './deadline.ts'
import type { Bench } from './runner-contract.ts'

type Contract = (title: string, body: (bench: Bench) => Promise<void>) => void

/** What holds for every driver that can run commands inside a cocoon. */
export function execTests(contract: Contract): void {
  contract('exec gives the exit code of a command that has the environment of the cocoon', async (bench) => {
    const driver = execOf(bench.driver)
    if (driver === null) return
    const { handle } = await bench.launch('sleep', { env: { PORT: '1', COCOON_CHECK: 'a b"c' } })
    const run = (script: string) => driver.exec(handle, ['sh', '-c', script], bench.signal)
    assert.deepEqual(await run('exit 3'), { code: 3 })
    assert.deepEqual(await run('test "$COCOON_CHECK" = "a b\\"c"'), { code: 0 })
    assert.deepEqual(await run('test "$COCOON_CHECK" = other'), { code: 1 })
    // Podman reports of a command that is not there only that it has not ended.
    const limit = AbortSignal.any([bench.signal, AbortSignal.timeout(2_000)])
    const missing = driver.exec(handle, ['no-such-command-anywhere'], limit)
    assert.notEqual(
      await missing.then(
        ({ code }) => code,
        () => 'refused',
      ),
      0,
    )
  })

  contract('exec settles with its signal, and again once the hanging command is gone', async (bench) => {
    const driver = execOf(bench.driver)
    if (driver === null) return
    const { handle } = await bench.launch('sleep')
    const limit = AbortSignal.any([bench.signal, AbortSignal.timeout(300)])
    // A busy engine may not even have taken it up by then.
    const settled = (error: Error) => error.name === 'TimeoutError' || error instanceof RunnerUnreachable
    await assert.rejects(driver.exec(handle, ['sleep', '1'], limit), settled)
    await until(
      () =>
        driver.exec(handle, ['true'], bench.signal).then(
          ({ code }) => code === 0,
          () => false,
        ),
      10_000,
      'another exec',
    )
  })

  contract('exec leaves nothing running, neither of a command that ended nor of one that hung', async (bench) => {
    const driver = execOf(bench.driver)
    if (driver === null) return
    const { handle } = await bench.launch('sleep')
    const run = (script: string, signal = bench.signal) => driver.exec(handle, ['sh', '-c', script], signal)
    const seconds = String(randomInt(100_000, 900_000))
    // Exactly this argument: neither the look itself nor the shell that was given all of the command.
    const look = `grep -qz '^${seconds}$' /proc/[0-9]*/cmdline 2>/dev/null`
    const isLeft = async () => (await run(look)).code === 0
    assert.equal((await run(`sleep ${seconds} & setsid sleep ${seconds} & exit 3`)).code, 3)
    await until(async () => !(await isLeft()), 30_000, 'nothing left of the first')
    const limit = AbortSignal.any([bench.signal, AbortSignal.timeout(1_000)])
    await assert.rejects(run(`setsid sleep ${seconds} & trap '' TERM; sleep ${seconds}; sleep ${seconds}`, limit))
    await until(
      () =>
        isLeft().then(
          (left) => !left,
          () => false,
        ),
      30_000,
      'nothing left of the second',
    )
  })

  contract('exec in a cocoon that has ended throws', async (bench) => {
    const driver = execOf(bench.driver)
    if (driver === null) return
    const { handle } = await bench.launch('sleep')
    await driver.stop(handle, 0, bench.signal)
    await assert.rejects(driver.exec(handle, ['true'], bench.signal))
  })

  contract('stats: the CPU time grows while a command in the cocoon computes', async (bench) => {
    const driver = execOf(bench.driver)
    if (driver === null || !tellsStats(driver)) return
    const { handle } = await bench.launch('sleep')
    const cpuMs = async () => (await driver.stats(handle, bench.signal))?.cpuMs ?? Number.NaN
    const before = await cpuMs()
    assert.ok(before >= 0, 'it is known')
    const over = new AbortController()
    // Long enough to be met by a look at all processes, which are seconds apart.
    const busy = driver.exec(handle, ['sh', '-c', 'i=0; while [ $i -lt 9000000 ]; do i=$((i+1)); done'], over.signal)
    await until(async () => (await cpuMs()) - before > 100, 20_000, 'using CPU')
    over.abort()
    await busy.catch(() => undefined)
  })
}

function execOf(driver: RunnerDriver) {
  return canExec(driver) ? driver : null
}
