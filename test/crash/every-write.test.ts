import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type HiveCommand, HiveEnded, type HiveProcess } from '../support/crash/hive-process.ts'
import { churnOnce } from '../support/crash/scenario.ts'
import { ALL, randomFrom, SEED, sample } from '../support/crash/seed.ts'
import { injecting, noStrace } from '../support/crash/strace.ts'
import { openWorld, type World } from '../support/crash/world.ts'
import { within } from '../support/deadline.ts'

/** More than any sweep takes: a sweep that gets here has lost its way. */
const NO_END = 2_000

interface Sweep {
  readonly title: string
  readonly command: (nth: number) => Partial<HiveCommand>
  /** About how many of them the churn has, to draw a sample from. */
  readonly about: number
  readonly samples: number
  readonly skip: string | false
}

const tracing = noStrace()
const PROGRAM = [new URL('../support/fixtures/failpoint-hive.ts', import.meta.url).pathname]
const SWEEPS: readonly Sweep[] = [
  kills('fsync,fdatasync', 60, 2),
  kills('pwrite64', 300, 1),
  kills('rename', 4, 1),
  {
    title: 'F5 F1 F2 F3 F4: between the Nth two steps',
    command: (nth) => ({ program: PROGRAM, env: { CRASH_POINT: 'any', CRASH_SKIP: String(nth - 1) } }),
    about: 130,
    samples: 2,
    skip: false,
  },
]

function kills(calls: string, about: number, samples: number): Sweep {
  return {
    title: `F5: at the Nth ${calls}`,
    command: (nth) => ({ wrapper: injecting(calls, `signal=SIGKILL:when=${nth}`) }),
    about,
    samples,
    skip: tracing,
  }
}

/** @returns false if Hive came through because there is no Nth one. */
async function dieOnce(world: World, command: Partial<HiveCommand>): Promise<boolean> {
  const first = await startMortal(world, command)
  if (first !== null) {
    const whole = await churnOnce(world.client(first), 'script')
    await first.end('SIGKILL')
    if (whole) return false
  }
  const second = await world.start()
  await world.check(second)
  const last = await world.client(second).create('script', 'afterwards')
  assert.equal(last?.status, 201, `Hive is of no use afterwards: ${last?.text}`)
  return true
}

/** Null = it was killed before it listened. */
async function startMortal(world: World, command: Partial<HiveCommand>): Promise<HiveProcess | null> {
  try {
    return await world.start(command)
  } catch (error) {
    if (error instanceof HiveEnded) return null
    throw error
  }
}

async function runNth(sweep: Sweep, nth: number): Promise<boolean> {
  const world = await openWorld()
  try {
    return await within(dieOnce(world, sweep.command(nth)), 110_000, `N = ${nth}`)
  } catch (error) {
    throw new Error(`${sweep.title}: N = ${nth} (seed ${SEED})`, { cause: error })
  } finally {
    await world.close()
  }
}

describe(`Hive is killed at the Nth step (${ALL ? 'all' : `sample of seed ${SEED}`})`, () => {
  for (const sweep of SWEEPS)
    it(sweep.title, { skip: sweep.skip, timeout: ALL ? 3_600_000 : 120_000 }, async (t: TestContext) => {
      const random = randomFrom(SEED)
      const some = ALL ? null : sample(random, sweep.samples, sweep.about)
      for (let at = 0; at < (some?.length ?? NO_END); at++) {
        const nth = some?.[at] ?? at + 1
        const died = await runNth(sweep, nth)
        t.diagnostic(`N = ${nth}: ${died ? 'killed' : 'there is no such'}`)
        if (!died && some === null) return
      }
      assert.ok(some !== null, 'the sweep never came to its end')
    })
})
