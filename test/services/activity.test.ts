import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Activity } from '../../src/services/activity.ts'
import { rowIn, scriptKind } from '../support/service-row.ts'

test('the start of a cocoon is its last activity, unless something came since it was ready', () => {
  const activity = new Activity()
  activity.noteStart('new', 5)
  assert.equal(activity.last('new')?.cause, 'start')
  activity.note('touched', 'touch')
  activity.noteStart('touched', 60_000)
  assert.equal(activity.last('touched')?.cause, 'touch')
})

test('what an earlier attempt did is not the last activity of the next', async () => {
  const activity = new Activity()
  activity.note('again', 'request')
  const before = activity.last('again')?.at ?? 0
  while (performance.now() <= before) await Promise.resolve()
  activity.noteStart('again', 0)
  assert.equal(activity.last('again')?.cause, 'start')
})

test('F59: a lease that ends long after any could, by a clock that was set back, keeps nothing alive', () => {
  const row = rowIn('running', { kind: scriptKind('native', { idleTimeoutMs: 60_000 }) })
  const now = Date.now()
  const until = (ms: number) => ({ ...row, leaseUntil: new Date(now + ms).toISOString() })
  const leftMs = (ms: number) => new Activity().leftMs(until(ms), now) ?? Number.NaN
  assert.equal(leftMs(3_600_000), 3_600_000)
  assert.ok(leftMs(10 * 365 * 86_400_000) <= 60_000)
})
