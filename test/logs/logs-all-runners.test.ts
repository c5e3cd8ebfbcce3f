import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { until } from '../support/deadline.ts'
import { engineOrSkip, TEST_IMAGES } from '../support/engines.ts'
import { type HiveOptions, openHive, type TestHive } from '../support/hive.ts'
import { linesOf, logText, outputOf } from '../support/log-reader.ts'
import { ownPortRange } from '../support/port-range.ts'

interface Runner {
  readonly name: string
  readonly skip: string | false
  readonly options: (program: string) => HiveOptions
}

const docker = engineOrSkip('docker')
const podman = engineOrSkip('podman')

function container(type: 'docker' | 'podman', host: string) {
  return (program: string): HiveOptions => ({
    kinds: [
      {
        id: 'talker',
        runner_type: type,
        runner_config: { image: TEST_IMAGES.sleep, command: ['sh', '-c'], args: [program] },
      },
    ],
    env: { HIVE_PORT_RANGE: ownPortRange(), [`HIVE_${type.toUpperCase()}_HOST`]: host },
  })
}

const RUNNERS: readonly Runner[] = [
  {
    name: 'script',
    skip: false,
    options: (program) => ({
      env: { HIVE_PORT_RANGE: ownPortRange() },
      kinds: [
        {
          id: 'talker',
          runner_type: 'script',
          runner_config: { command: 'sh', args: ['-c', program] },
        },
      ],
    }),
  },
  { name: 'docker', skip: docker.skip, options: container('docker', docker.host) },
  { name: 'podman', skip: podman.skip, options: container('podman', podman.host) },
]

async function logsOf(hive: TestHive, query = '') {
  return linesOf(await logText(hive, 'talker', query))
}

async function spawnTalker(t: TestContext, runner: Runner, program: string): Promise<TestHive> {
  const hive = await openHive(t, runner.options(program))
  await hive.spawn({ kind: 'talker', name: 'talker' }, '')
  return hive
}

for (const runner of RUNNERS)
  describe(`logs of ${runner.name}`, { skip: runner.skip }, () => {
    test('both streams have one shape, and are kept over stop, start and removal', async (t) => {
      const hive = await spawnTalker(t, runner, 'echo out; echo err >&2; printf "no feed"; exec sleep 1000')
      await until(async () => (await logsOf(hive)).length >= 2, 20_000, 'two lines')
      const [first] = await logsOf(hive, '?tail=1')
      assert.equal(first?.seq, (await logsOf(hive)).at(-1)?.seq)
      assert.ok(Math.abs(Date.parse(first?.time ?? '') - Date.now()) < 60_000)
      await hive.call('POST', '/services/talker/stop?wait=stopped')
      await until(async () => (await logsOf(hive)).length >= 3, 20_000, 'the last line')
      const seen = await logsOf(hive)
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        [1, 2, 3],
      )
      assert.equal(outputOf(seen, 'stdout'), 'out\nno feed')
      assert.equal(outputOf(seen, 'stderr'), 'err\n')
      await hive.call('POST', '/services/talker/start?wait=running')
      await until(async () => (await logsOf(hive, '?after=3')).length >= 2, 20_000, 'the lines of attempt 2')
      await hive.call('DELETE', '/services/talker')
      const all = await logsOf(hive, '?follow=true')
      assert.deepEqual(
        all.map(({ seq }) => seq),
        [1, 2, 3, 4, 5, 6],
      )
      assert.equal(outputOf(all, 'stdout'), 'out\nno feedout\nno feed')
      assert.equal(outputOf(all, 'stderr'), 'err\nerr\n')
    })

    test('a post-mortem has one shape, and stays readable after the removal', async (t) => {
      const hive = await spawnTalker(t, runner, 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "l $i"; done; exit 7')
      await until(async () => (await hive.call('GET', '/services/talker')).body.exit, 30_000, 'its end')
      await hive.call('DELETE', '/services/talker')
      assert.equal((await hive.call('GET', '/services/talker')).status, 410)
      const { status, body } = await hive.call('GET', '/services/talker/post-mortem')
      assert.equal(status, 200)
      assert.deepEqual([body.exit.code, body.exit.signal, body.exit.oom], [7, null, false])
      assert.equal(body.log.length, 200)
      assert.deepEqual([body.log[0].line, body.log[199].line], ['l 101', 'l 300'])
      const states = body.timeline.filter(({ type }: { type: string }) => type === 'state')
      assert.deepEqual([states[0].data.state, states.at(-1).data.state], ['requested', 'removed'])
      assert.equal(body.service.state, 'removed')
      assert.deepEqual(body.probes, [])
    })

    test('F60: one huge line and binary output come whole, in pieces of 16 KB', async (t) => {
      const program = 'head -c 100000 /dev/zero | tr "\\0" x; echo; printf "\\377\\376\\033[1m\\r\\n"'
      const hive = await spawnTalker(t, runner, program)
      const lines = await logsOf(hive, '?follow=true')
      assert.equal(outputOf(lines, 'stdout'), `${'x'.repeat(100_000)}\n\uFFFD\uFFFD\u001b[1m\r\n`)
      assert.ok(lines.every(({ line }) => Buffer.byteLength(line) <= 16_384))
    })

    test('F62: a Hive that goes away in the middle and comes back misses nothing and doubles nothing', async (t) => {
      const program = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; echo "e $i" >&2; sleep 0.01; done'
      const first = await spawnTalker(t, runner, program)
      await until(async () => (await logsOf(first)).length > 20, 20_000, 'some lines')
      const before = await logsOf(first)
      await first.close()
      const options = runner.options(program)
      const second = await openHive(t, { ...options, directory: first.directory })
      const all = await logsOf(second, '?follow=true')
      assert.deepEqual(all.slice(0, before.length), before)
      assert.deepEqual(
        all.map(({ seq }) => seq),
        all.map((_line, index) => index + 1),
      )
      const numbers = Array.from({ length: 300 }, (_none, index) => index + 1)
      assert.equal(outputOf(all, 'stdout'), numbers.map((number) => `line ${number}\n`).join(''))
      assert.equal(outputOf(all, 'stderr'), numbers.map((number) => `e ${number}\n`).join(''))
    })
  })
