import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createScriptDriver } from '../../src/runners/script/driver.ts'
import { until } from '../support/deadline.ts'
import { openHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'
import { HTTPD, processRuns } from '../support/script-bench.ts'

/** Leaves session, parent, environment and output: nothing but its port and its directory still tells whose it is. */
const FLIGHT = `(setsid env -i PORT="$PORT" sh -c 'echo $$ >escaped.new; mv escaped.new escaped; exec "$0" "$1"' "$0" "$1" >/dev/null 2>&1 &)
  exec sleep 1000`

test('F24: what got away from a stop without cgroups is told in the record and the log, and left alone', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'hive-test-'))
  const hostEnvironment = { PATH: process.env['PATH'] ?? null, HOME: null, LANG: null, TZ: null, TMPDIR: null }
  const instanceId = randomUUID().replaceAll('-', '')
  const driver = createScriptDriver({ stateDir: directory, instanceId, hostEnvironment, forceContainment: 'group' })
  const runner_config = { command: 'sh', args: ['-c', FLIGHT, process.execPath, HTTPD] }
  const kinds = [{ id: 'fleeing', runner_type: 'script', runner_config }]
  const hive = await openHive(t, { directory, drivers: [driver], kinds, env: { HIVE_PORT_RANGE: ownPortRange() } })
  // Hooks run in the order of their making: first Hive removes its cocoons.
  t.after(() => rm(directory, { recursive: true, force: true }))
  const { id, ports } = await hive.spawn({ kind: 'fleeing', name: 'fleeing' })
  const escaped = Number(
    await until(() => readFile(join(directory, 'work', id, 'escaped'), 'utf8'), 10_000, 'the flight'),
  )
  t.after(() => processRuns(escaped) && process.kill(escaped, 'SIGKILL'))
  const [port] = ports
  await until(async () => (await fetch(`http://127.0.0.1:${port?.host_port}/pid`)).ok, 10_000, 'the listener')
  const { status, body } = await hive.call('POST', '/services/fleeing/stop?wait=stopped')
  assert.deepEqual([status, body.state, body.error?.code], [200, 'stopped', 'HIVE_SURVIVORS'])
  assert.match(body.error.detail, new RegExp(`process ${escaped} .* listens on its port ${port?.host_port}`))
  assert.match(body.error.detail, new RegExp(`process ${escaped} .* is in its working directory`))
  assert.match(hive.log(), /something seems to have got away from the stop/)
  assert.equal(processRuns(escaped), true)
})
