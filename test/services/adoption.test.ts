import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ServiceRow } from '../../src/services/state/record.ts'
import { beforeLaunch, rewriteRows } from '../support/crash/take-back.ts'
import { FakeRunner } from '../support/fake-driver.ts'
import { openSupervisor } from '../support/supervisor.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const portOf = (row: ServiceRow) => row.leases[0]?.hostPort

it('F11: what is adopted keeps the port it has, and the one that was chosen in its place is free again', async (t) => {
  const directory = await tempDirectory(t)
  const runner = new FakeRunner()
  const range = { portRange: { first: 61_001, last: 61_002 } }
  const first = await openSupervisor(t, { runner, directory, ...range })
  const launched = await first.in(await first.spawn(), 'running')
  await first.close()
  rewriteRows(directory, beforeLaunch)
  const second = await openSupervisor(t, { runner, directory, ...range })
  const adopted = await second.in(launched, 'running')
  assert.deepEqual([adopted.leases, adopted.record.ports], [launched.leases, launched.record.ports])
  assert.equal(runner.running(launched.record.id), 1)
  second.clock.aheadMs = 61_000
  assert.notEqual(portOf(await second.in(await second.spawn(), 'running')), portOf(adopted))
})

it('F11 F38: what is adopted on a port of another cocoon is ended and launched anew', async (t) => {
  const directory = await tempDirectory(t)
  const runner = new FakeRunner()
  const first = await openSupervisor(t, { runner, directory })
  const [one, other] = [await first.spawn(), await first.spawn()]
  const taken = portOf(await first.in(one, 'running'))
  await first.in(other, 'running')
  await first.close()
  const onPort = (row: ServiceRow) => ({
    ...row,
    leases: row.leases.map((lease) => ({ ...lease, hostPort: taken ?? 0 })),
  })
  rewriteRows(directory, (row) => (row.record.id === one.record.id ? beforeLaunch(row) : onPort(row)))
  runner.calls.length = 0
  const second = await openSupervisor(t, { runner, directory })
  const moved = await second.in(one, 'running')
  assert.notEqual(portOf(moved), taken)
  assert.equal(portOf(second.now(other)), taken)
  assert.deepEqual([runner.running(one.record.id), runner.running(other.record.id)], [1, 1])
  const mine = runner.calls.filter((call) => call.includes(one.record.id) || call.includes(one.record.name))
  assert.deepEqual(
    mine.filter((call) => /^(start|remove)/.test(call)).map((call) => call.split(' ')[0]),
    ['start', 'remove', 'start'],
  )
})
