import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Activity } from '../../src/services/activity.ts'

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
