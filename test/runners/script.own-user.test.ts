import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LaunchSpec } from '../../src/runners/driver.ts'
import { until, within } from '../support/deadline.ts'
import { scriptSpec } from '../support/launch-spec.ts'
import { INSIDE, outputOf, useScriptBench } from '../support/script-bench.ts'

const notRoot = process.getuid?.() !== 0 && 'only root can hand out uids'
const RANGE = { first: 210_000, last: 210_099 }

test('user auto: reads neither another environment nor the state directory nor a foreign working directory', {
  skip: notRoot,
}, async (t) => {
  const bench = await useScriptBench(t, { uidRange: RANGE })
  for (const name of ['token', 'hive.db']) await writeFile(join(bench.stateDir, name), 'secret', { mode: 0o644 })
  await mkdir(join(bench.stateDir, 'logs'), { mode: 0o755 })
  await bench.driver.probe(bench.signal)
  const neighbour = await bench.launch(own('sleep', ['1000'], { env: { PLANTED: 'secret' } }))
  const other = join(bench.stateDir, 'work', String(neighbour.handle.data['id']))
  await writeFile(join(other, 'file'), 'secret')
  const spec = own(process.execPath, [
    INSIDE,
    JSON.stringify({
      read: [
        join(bench.stateDir, 'token'),
        join(bench.stateDir, 'hive.db'),
        join(other, 'file'),
        `/proc/${neighbour.pid}/environ`,
      ],
      list: [
        bench.stateDir,
        join(bench.stateDir, 'work'),
        join(bench.stateDir, 'run'),
        join(bench.stateDir, 'logs'),
        other,
      ],
      kill: [neighbour.pid ?? 0, process.pid],
      write: ['own', join(other, 'planted')],
    }),
  ])
  const { handle } = await bench.launch(spec)
  await within(bench.driver.wait(handle, bench.signal), 20_000, 'the end of the probe')
  const seen = JSON.parse(await outputOf(bench.stateDir, spec, 'stdout'))
  const { own: written, ...refused } = seen.found as Record<string, unknown>
  assert.equal(written, true)
  assert.equal(Object.keys(refused).length, 12)
  for (const [what, code] of Object.entries(refused)) assert.match(String(code), /^(EACCES|EPERM)$/, what)
  const work = await stat(join(bench.stateDir, 'work', spec.id))
  const uids = [seen.uid, seen.gid, work.uid, work.gid, (await stat(join(bench.stateDir, 'work', spec.id, 'own'))).uid]
  assert.deepEqual(new Set(uids), new Set([seen.uid]))
  assert.ok(seen.uid >= RANGE.first && seen.uid <= RANGE.last)
  assert.deepEqual(seen.groups, [seen.gid])
  assert.deepEqual([seen.capabilities, seen.noNewPrivileges], ['0000000000000000', '1'])
})

test('user auto: the uid is held over attempts and restarts of Hive, and free after removal', {
  skip: notRoot,
}, async (t) => {
  const bench = await useScriptBench(t, { uidRange: { first: 210_000, last: 210_001 } })
  await bench.driver.probe(bench.signal)
  const first = await bench.launch(own('sleep', ['1000']))
  const uid = await uidOf(first.pid)
  await bench.driver.close()
  const later = bench.newDriver()
  await later.probe(bench.signal)
  const second = await later.start(own('sleep', ['1000']), bench.signal)
  assert.notEqual(await uidOf(second.pid), uid)
  const third = own('sleep', ['1000'])
  await assert.rejects(later.start(third, bench.signal), {
    name: 'LaunchRefused',
    message: /HIVE_UID_RANGE.*make it larger/,
  })
  await later.stop(first.handle, 0, bench.signal)
  await assert.rejects(later.start(third, bench.signal), { name: 'LaunchRefused' })
  const again = own('sleep', ['1000'], { id: String(first.handle.data['id']), attempt: 2, handle: first.handle })
  const restarted = await later.start(again, bench.signal)
  assert.equal(await uidOf(restarted.pid), uid)
  await later.remove(restarted.handle, { volumes: true }, bench.signal)
  assert.equal(await uidOf((await later.start(third, bench.signal)).pid), uid)
})

test('user auto: concurrent starts of two drivers never share a uid', { skip: notRoot }, async (t) => {
  const bench = await useScriptBench(t, { uidRange: RANGE })
  await bench.driver.probe(bench.signal)
  const drivers = [bench.driver, bench.newDriver()]
  const launched = await Promise.all(
    Array.from({ length: 12 }, (_, n) => drivers[n % 2]?.start(own('sleep', ['1000']), bench.signal)),
  )
  const uids = await Promise.all(launched.map((each) => uidOf(each?.pid ?? null)))
  assert.equal(new Set(uids).size, 12)
})

test('user auto: a uid that a process of the host has is not handed out', { skip: notRoot }, async (t) => {
  const bench = await useScriptBench(t, { uidRange: { first: 65_533, last: 65_534 } })
  await bench.driver.probe(bench.signal)
  // 65534 is an account (nobody); only the other one is left.
  const { pid } = await bench.launch(own('sleep', ['1000']))
  assert.equal(await uidOf(pid), 65_533)
  await assert.rejects(bench.driver.start(own('sleep', ['1000']), bench.signal), { name: 'LaunchRefused' })
})

test('user auto: claims of services that left nothing are let go at start', { skip: notRoot }, async (t) => {
  const bench = await useScriptBench(t, { uidRange: RANGE })
  await bench.driver.probe(bench.signal)
  const run = join(bench.stateDir, 'run')
  await writeFile(join(run, '.uid-210050'), 'a-service-long-gone')
  await utimes(join(run, '.uid-210050'), 1, 1)
  await writeFile(join(run, '.uid-210051'), 'a-service-about-to-start')
  const { handle } = await bench.launch(own('sleep', ['1000']))
  await bench.newDriver().probe(bench.signal)
  const claims = async () => (await readdir(run)).filter((name) => name.startsWith('.uid-'))
  await until(async () => !(await claims()).includes('.uid-210050'), 5_000, 'the sweep')
  await bench.driver.remove(handle, { volumes: true }, bench.signal)
  assert.deepEqual(await claims(), ['.uid-210051'])
})

test('user auto: a start that is refused gives its uid back', { skip: notRoot }, async (t) => {
  const bench = await useScriptBench(t, { uidRange: RANGE })
  await bench.driver.probe(bench.signal)
  const config = { command: '/bin/sleep', user: 'auto', sha256: 'f'.repeat(64) }
  await assert.rejects(bench.driver.start(scriptSpec(config, { port: null }), bench.signal), { name: 'LaunchRefused' })
  const left = await readdir(join(bench.stateDir, 'run'))
  assert.deepEqual(
    left.filter((name) => !name.startsWith('.launcher-')),
    [],
  )
})

test('user auto: without HIVE_UID_RANGE the kind is unavailable and says how to mend it', {
  skip: notRoot,
}, async (t) => {
  const bench = await useScriptBench(t)
  const facts = bench.driver.describe(own('sleep', []).config)
  assert.equal(facts.available, false)
  assert.match(facts.reason ?? '', /set HIVE_UID_RANGE, such as 200000-209999/)
})

test('without uids to hand out the state directory stays closed', { skip: notRoot }, async (t) => {
  const bench = await useScriptBench(t)
  await chmod(bench.stateDir, 0o700)
  await bench.driver.probe(bench.signal)
  assert.equal((await stat(bench.stateDir)).mode & 0o777, 0o700)
})

function own(command: string, args: readonly string[], overrides: Partial<LaunchSpec> = {}): LaunchSpec {
  return scriptSpec({ command, args, user: 'auto' }, { port: null, ...overrides })
}

async function uidOf(pid: number | null): Promise<number> {
  return Number(/^Uid:\t(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}
